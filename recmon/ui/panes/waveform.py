"""The seek control: both parties' channels apart, in their own colours; click, drag or use keys to seek."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QElapsedTimer, QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractSlider, QSizePolicy, QToolTip, QWidget

from recmon.domain.recordings import Waveform
from recmon.services.markers import CallMarker
from recmon.ui import text as words
from recmon.ui.panes.colors import palest
from recmon.ui.panes.marker_flags import MarkerFlags, marker_tip
from recmon.ui.theme import Theme, sized

SCRUB_INTERVAL_MS = 100
"""Between two seeks while the pointer is dragged."""

STEP_S = 5.0
"""An arrow key's step; with Shift 1 s, with Ctrl 15 s."""

_SETTLE_MS = 700  # how long a chosen place is shown although the player still tells of the old one
_NEAR_S = 0.75
_LEAST_GUTTER, _MOST_GUTTER = 64, 156
_MARGIN = 16
_GAP = 12
_PITCH = 4
_PLAYED_BAR, _UNPLAYED_BAR = 2, 1.25  # in width too, so that the played part stands out in every colour
_PLAYHEAD = 2
_NAME_PX = 12


class WaveformView(QAbstractSlider):
    """Shows a recording's waveform and lets the user choose a place in it.

    Signals:
        seek_requested(float): the user chose a place, in seconds; never sent for a position that was told.
        scrubbed(float): the place under the dragged pointer, in seconds.
    """

    seek_requested = Signal(float)
    scrubbed = Signal(float)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._peaks: Waveform | None = None
        self._names = ("", "")
        self._flags = MarkerFlags()
        self._gutter = _LEAST_GUTTER
        self._position_s = 0.0
        self._length_s: float | None = None
        self._arrived_s: float | None = None
        self._is_telling = False
        self._scrub_s: float | None = None
        self._before_scrub_s = 0.0
        self._sent_s: float | None = None
        self._since_sent = QElapsedTimer()
        self._hover_x: int | None = None
        self._drawn_for: tuple[object, ...] | None = None
        self._played = QPixmap()
        self._unplayed = QPixmap()
        self._version = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        # Time runs from left to right in every language.
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Position in the recording")
        self.valueChanged.connect(self._on_value_changed)
        theme.changed.connect(self.update)
        self._tell_position()

    def show_peaks(self, peaks: Waveform | None) -> None:
        """Show a waveform, or a flat line while there is none."""
        self._peaks = peaks
        self._version += 1
        self.update()

    def show_markers(self, markers: Sequence[CallMarker]) -> None:
        """Show flags at marked places; a click on one goes there."""
        self._flags = MarkerFlags(tuple(markers))
        self.update()

    def show_names(self, one: str, two: str) -> None:
        """Name the channels; empty where it is not known who speaks."""
        self._names = (words.one_line(one), words.one_line(two))
        metrics = QFontMetrics(sized(self.font(), _NAME_PX))
        widest = max(metrics.horizontalAdvance(name) for name in self._names)
        self._gutter = min(_MOST_GUTTER, max(_LEAST_GUTTER, widest + _MARGIN + _GAP + 1))
        self.update()

    def show_progress(self, position_s: float, length_s: float | None, arrived_s: float | None) -> None:
        """Show where the player is.

        Args:
            position_s: what is heard now, in seconds.
            length_s: of the recording; None while it is unknown.
            arrived_s: how far it is there; None when it is there as a whole.
        """
        self._length_s, self._arrived_s = length_s, arrived_s
        if self._scrub_s is None and self._is_settled(position_s):
            self._position_s = position_s
        self._tell_position()
        self.update()

    @property
    def shown_s(self) -> float:
        """The place at which the line stands, in seconds."""
        return self._position_s if self._scrub_s is None else self._scrub_s

    @property
    def span_s(self) -> float:
        """Seconds from one edge to the other; 0 while nothing is known."""
        known = self._peaks.length_s or self._peaks.known_s if self._peaks else 0.0
        return self._length_s or known or max(self._arrived_s or 0.0, self._position_s)

    def lanes(self) -> QRect:
        """Return the area of the waveform itself."""
        gutter = self._gutter if len(self._lane_tokens()) == 2 else _LEAST_GUTTER
        return self.rect().adjusted(gutter, 2, -_MARGIN, -2)

    def place_at(self, x: float) -> float:
        """Return the seconds at a horizontal place of the widget."""
        area = self.lanes()
        share = (x - area.left()) / max(1, area.width())
        return min(1.0, max(0.0, share)) * self.span_s

    def x_of(self, seconds: float) -> int:
        """Return the horizontal place of a time."""
        area = self.lanes()
        share = min(1.0, max(0.0, seconds / self.span_s)) if self.span_s else 0.0
        return area.left() + round(share * area.width())

    def marker_at(self, x: float, y: float) -> CallMarker | None:
        """Return the marker whose flag is there."""
        return self._flags.at(x, y, self.x_of, self.lanes().top()) if self.span_s else None

    def sizeHint(self) -> QSize:
        return QSize(600, 104)

    def minimumSizeHint(self) -> QSize:
        return QSize(_MOST_GUTTER + 64, 96)

    # Choosing a place

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton or not self.span_s:
            return
        self._before_scrub_s = self._position_s
        marker = self.marker_at(event.position().x(), event.position().y())
        if marker is not None:
            self.choose(marker.start_s)
            return
        self._scrub_s = self.place_at(event.position().x())
        self.choose(self._scrub_s)
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        self._hover_x = (
            round(x) if self.span_s and self.lanes().contains(round(x), self.height() // 2) else None
        )
        if self._hover_x is not None or self._scrub_s is not None:
            marker = self.marker_at(x, event.position().y())
            tip = words.duration(self.place_at(x)) if marker is None else marker_tip(marker)
            QToolTip.showText(event.globalPosition().toPoint(), tip, self)
        else:
            QToolTip.hideText()
        if self._scrub_s is not None:
            self._scrub_s = self.place_at(x)
            self.scrubbed.emit(self._scrub_s)
            if self._since_sent.elapsed() >= SCRUB_INTERVAL_MS:
                self.choose(self._scrub_s)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton or self._scrub_s is None:
            return
        place, self._scrub_s = self._scrub_s, None
        if place != self._sent_s:
            self.choose(place)
        self._position_s = place
        self._tell_position()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover_x = None
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # a wheel over the waveform must not move the place by accident

    def event(self, event: QEvent) -> bool:
        # Otherwise an action of the window with the same key would be triggered instead.
        if (
            event.type() is QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and (self._target_of(event) is not None or self._cancels(event))
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._cancels(event):
            self._scrub_s = None
            self.choose(self._before_scrub_s)
            return
        target = self._target_of(event)
        if target is None:
            event.ignore()
            return
        self.choose(target)

    def _cancels(self, event: QKeyEvent) -> bool:
        return event.key() == Qt.Key.Key_Escape and self._scrub_s is not None

    def _target_of(self, event: QKeyEvent) -> float | None:
        if not self.span_s:
            return None
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            steps = {
                Qt.KeyboardModifier.NoModifier: STEP_S,
                Qt.KeyboardModifier.ShiftModifier: 1.0,
                Qt.KeyboardModifier.ControlModifier: 15.0,
            }
            step = steps.get(modifiers)
            if step is None:
                return None
            step = -step if event.key() == Qt.Key.Key_Left else step
            return self.shown_s + step
        if modifiers != Qt.KeyboardModifier.NoModifier:
            return None
        if event.key() == Qt.Key.Key_Home:
            return 0.0
        return self.span_s if event.key() == Qt.Key.Key_End else None

    def choose(self, place_s: float) -> None:
        """Choose a place, as a click there does; what lies outside the recording is moved to its edge."""
        place_s = min(self.span_s, max(0.0, place_s))
        self._sent_s = place_s
        self._position_s = place_s
        self._since_sent.start()
        self._tell_position()
        self.update()
        self.seek_requested.emit(place_s)

    def _is_settled(self, position_s: float) -> bool:
        if self._sent_s is None:
            return True
        if abs(position_s - self._sent_s) <= _NEAR_S or self._since_sent.elapsed() > _SETTLE_MS:
            self._sent_s = None
            return True
        return False

    # For screen readers: the slider's value in whole seconds

    def _on_value_changed(self, value: int) -> None:
        if not self._is_telling:
            self.choose(float(value))

    def _tell_position(self) -> None:
        self._is_telling = True
        try:
            self.setRange(0, int(self.span_s))
            if self.value() == int(self._position_s) and self.accessibleDescription():
                return
            self.setValue(int(self._position_s))
            self.setAccessibleDescription(
                f"{words.spoken_duration(self._position_s)} of {words.spoken_duration(self.span_s)}"
                if self.span_s
                else "nothing loaded"
            )
        finally:
            self._is_telling = False

    # Drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        self._redraw_where_needed()
        area = self.lanes()
        painter = QPainter(self)
        tokens = self._theme.tokens
        if self._arrived_s is not None and self.span_s:
            arrived = QRect(area)
            arrived.setRight(self.x_of(self._arrived_s))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.color("hover"))
            painter.drawRoundedRect(arrived, 4, 4)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        x = self.x_of(self.shown_s)
        painter.setClipRect(QRect(area.left(), area.top(), x - area.left(), area.height()))
        painter.drawPixmap(area.topLeft(), self._played)
        painter.setClipRect(QRect(x, area.top(), area.right() - x + 1, area.height()))
        painter.drawPixmap(area.topLeft(), self._unplayed)
        painter.setClipping(False)
        self._paint_names(painter, area)
        self._flags.paint(painter, area, self.x_of, self.span_s, tokens.color("warning"))
        if self._hover_x is not None and self._scrub_s is None:
            painter.fillRect(QRect(self._hover_x, area.top(), 1, area.height()), tokens.color("quiet"))
        if self.span_s:
            painter.fillRect(QRect(x - 1, 0, _PLAYHEAD, self.height()), tokens.color("text"))
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(tokens.color("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(self.rect().adjusted(5, 1, -5, -2), 6, 6)

    def _lane_tokens(self) -> tuple[str, ...]:
        """Return the colours of the lanes: one party each, or one for what is mixed."""
        if self._peaks is None or len(self._peaks.channels) >= 2:
            return ("party_one", "party_two")
        return ("quiet",)

    def _paint_names(self, painter: QPainter, area: QRect) -> None:
        tokens = self._lane_tokens()
        names = self._names if len(tokens) == 2 else ("both",)
        font = sized(self.font(), _NAME_PX)
        painter.setFont(font)
        painter.setPen(self._theme.color("quiet"))
        metrics = QFontMetrics(font)
        height = area.height() // len(tokens)
        for lane, name in enumerate(names):
            room = QRect(_MARGIN, area.top() + lane * height, area.left() - _MARGIN - _GAP, height)
            shorten = words.elided_number if words.is_number(name) else words.elided_name
            painter.drawText(
                room,
                int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
                shorten(name, metrics, room.width()),
            )

    def _redraw_where_needed(self) -> None:
        area, scale = self.lanes(), self.devicePixelRatioF()
        wanted = (area.size().toTuple(), scale, self._theme.tokens, self._version, self.span_s)
        if wanted == self._drawn_for:
            return
        self._drawn_for = wanted
        ground = self._theme.tokens.panel
        colors = [getattr(self._theme.tokens, token) for token in self._lane_tokens()]
        halves = self._halves(round(area.width() * scale), round(area.height() * scale), scale, len(colors))
        pitch = _device_pitch(scale)
        self._played, self._unplayed = QPixmap(area.size() * scale), QPixmap(area.size() * scale)
        for pixmap, is_played in ((self._played, True), (self._unplayed, False)):
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            painter.setPen(Qt.PenStyle.NoPen)
            bar = max(1, round((_PLAYED_BAR if is_played else _UNPLAYED_BAR) * scale))
            for color, (middle, heights) in zip(colors, halves, strict=True):
                painter.setBrush(QColor(color) if is_played else palest(color, ground))
                painter.drawRects(
                    [
                        QRect(number * pitch, middle - half, bar, 2 * half)
                        for number, half in enumerate(heights)
                    ]
                )
            painter.end()
            pixmap.setDevicePixelRatio(scale)

    def _halves(self, width: int, height: int, scale: float, lanes: int) -> list[tuple[int, list[int]]]:
        """Return every lane's middle and half heights in device pixels: bars are sharp at any scale."""
        lane_height = height // lanes
        reach = max(1, lane_height // 2 - round(3 * scale))
        least = max(1, round(scale))
        count = max(1, width // _device_pitch(scale))
        return [
            (
                lane * lane_height + lane_height // 2,
                [max(least, round(reach * level)) for level in self._levels(lane, count)],
            )
            for lane in range(lanes)
        ]

    def _levels(self, lane: int, count: int) -> list[float]:
        """Return one height for each bar, 0 to 1, lifted so that quiet speech can be seen."""
        if self._peaks is None or lane >= len(self._peaks.channels) or not self.span_s:
            return [0.0] * count
        row, bin_s = self._peaks.channels[lane], self._peaks.bin_s
        bins_each = self.span_s / bin_s / count
        levels = []
        for number in range(count):
            first = int(number * bins_each)
            part = row[first : max(first + 1, int((number + 1) * bins_each))]
            levels.append((max(part) / 255) ** 0.7 if part else 0.0)
        return levels


def _device_pitch(scale: float) -> int:
    return max(2, round(_PITCH * scale))
