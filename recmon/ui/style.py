"""The short style sheet.

Widgets ask for a look by the dynamic property `kind`. Of a QLabel: `quiet` (secondary, 12 px), `heading`
(17 px semibold), `section` (above a group), `status`, `bad`, `live`. Of a button: `accent`, `link`, `pill`,
`round` (the play button), `view` (top bar), `tool` (the player's), `status`. Of a QFrame: `panel`, `ground`,
`band`, `status`, `toast`, `line`. Of a QSlider: `balance` (has its usual place in the middle).
"""

from __future__ import annotations

from recmon.ui.tokens import Tokens


def style_sheet(tokens: Tokens) -> str:
    """Build the application's style sheet from the tokens."""
    t = tokens
    return f"""
    QMainWindow, QDialog {{ background: {t.ground}; }}
    QToolTip {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line}; padding: 4px 8px; }}
    QSplitter::handle {{ background: {t.line}; }}
    QMenuBar {{ background: {t.panel}; color: {t.text}; padding: 2px 8px;
        border-bottom: 1px solid {t.line}; }}
    QMenuBar::item {{ padding: 4px 8px; border-radius: 4px; background: transparent; }}
    QMenuBar::item:selected, QMenuBar::item:pressed {{ background: {t.selection}; color: {t.text}; }}
    QMenu {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line}; padding: 4px; }}
    QMenu::item {{ padding: 6px 24px 6px 12px; border-radius: 4px; }}
    QMenu::icon {{ padding-left: 8px; }}
    QMenu::item:selected {{ background: {t.selection}; color: {t.text}; }}
    QMenu::item:disabled {{ color: {t.quiet}; }}
    QMenu::separator {{ height: 1px; background: {t.line}; margin: 4px 8px; }}

    QLabel {{ background: transparent; }}
    QLabel[kind="quiet"] {{ color: {t.quiet}; font-size: 12px; }}
    QLabel[kind="heading"] {{ font-size: 17px; font-weight: 600; }}
    QLabel[kind="section"] {{ color: {t.quiet}; font-size: 11px; font-weight: 600; letter-spacing: 1px; }}
    QLabel[kind="bad"] {{ color: {t.bad}; font-size: 12px; }}
    QLabel[kind="live"] {{ color: {t.live}; font-size: 12px; }}

    QFrame[kind="panel"] {{ background: {t.panel}; border: none; }}
    QFrame[kind="ground"] {{ background: {t.ground}; border: none; }}
    QFrame[kind="band"] {{ background: {t.band}; border: none; }}
    QFrame[kind="note"] {{ background: {t.ground}; border: none; border-radius: 8px; }}
    QFrame[kind="line"] {{ background: {t.line}; border: none; }}
    QFrame[kind="status"] {{ background: {t.panel}; border: none; border-top: 1px solid {t.line}; }}
    QLabel[kind="status"] {{ color: {t.quiet}; font-size: 13px; border: none; }}
    QFrame[kind="toast"] {{ background: {t.panel}; border: 1px solid {t.line}; border-radius: 8px; }}

    QLineEdit, QPlainTextEdit {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line};
        border-radius: 8px; padding: 0 8px; selection-background-color: {t.accent};
        selection-color: {t.on_accent}; }}
    QLineEdit {{ min-height: 30px; }}
    QLineEdit:focus, QPlainTextEdit:focus {{ border: 1px solid {t.accent}; }}
    QComboBox {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line}; border-radius: 8px;
        padding: 0 32px 0 8px; min-height: 30px; }}
    QComboBox:focus, QComboBox:on {{ border: 1px solid {t.accent}; }}
    QComboBox::drop-down {{ border: none; width: 0px; }}
    QComboBox QAbstractItemView {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line};
        selection-background-color: {t.selection}; selection-color: {t.text}; }}
    QLineEdit[state="bad"] {{ border: 1px solid {t.bad}; }}

    QPushButton {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line}; border-radius: 6px;
        padding: 5px 12px; min-height: 18px; }}
    QPushButton:hover {{ background: {t.hover}; }}
    QPushButton:pressed {{ background: {t.selection}; }}
    QPushButton:focus {{ border: 1px solid {t.accent}; }}
    QPushButton:disabled {{ color: {t.quiet}; }}
    QPushButton[kind="accent"] {{ background: {t.accent}; color: {t.on_accent};
        border: 1px solid {t.accent}; }}
    QPushButton[kind="accent"]:disabled {{ background: {t.line}; color: {t.quiet};
        border: 1px solid {t.line}; }}
    QPushButton[kind="accent"]:focus {{ border: 1px solid {t.text}; }}
    QPushButton[kind="link"], QToolButton[kind="link"] {{ background: transparent; color: {t.accent_text};
        border: 1px solid transparent; padding: 2px 6px; border-radius: 4px; }}
    QPushButton[kind="link"]:hover, QToolButton[kind="link"]:hover {{ text-decoration: underline; }}
    QPushButton[kind="link"]:focus, QToolButton[kind="link"]:focus {{ border: 1px solid {t.accent}; }}
    QPushButton[kind="pill"] {{ background: {t.accent}; color: {t.on_accent}; border: 1px solid {t.accent};
        border-radius: 14px; padding: 4px 14px; min-height: 18px; font-weight: 500; }}
    QPushButton[kind="pill"]:focus {{ border: 2px solid {t.text}; }}
    QFrame[kind="band"] QPushButton[kind="link"] {{ color: {t.text}; }}

    QProgressBar {{ background: {t.line}; border: none; border-radius: 3px; }}
    QProgressBar::chunk {{ background: {t.accent}; border-radius: 3px; }}

    QSlider {{ min-height: 24px; }}
    QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {t.line}; }}
    QSlider::sub-page:horizontal {{ height: 4px; border-radius: 2px; background: {t.quiet}; }}
    QSlider::handle:horizontal {{ width: 12px; height: 12px; margin: -5px 0; border-radius: 7px;
        background: {t.text}; border: 1px solid {t.panel}; }}
    QSlider::handle:horizontal:focus {{ background: {t.accent}; border: 1px solid {t.text}; }}
    QSlider[kind="balance"]::sub-page:horizontal {{ background: {t.line}; }}

    QDialogButtonBox, QMessageBox {{ dialogbuttonbox-buttons-have-icons: 0; }}

    QToolButton {{ background: transparent; color: {t.text}; border: 1px solid transparent;
        border-radius: 6px; padding: 5px; }}
    QToolButton:hover {{ background: {t.hover}; }}
    QToolButton:pressed {{ background: {t.selection}; }}
    QToolButton:focus {{ border: 1px solid {t.accent}; }}
    QToolButton:disabled {{ color: {t.quiet}; }}
    QToolButton::menu-indicator {{ image: none; width: 0; }}
    QToolButton[kind="round"] {{ background: {t.accent}; border-radius: 18px; min-width: 32px;
        min-height: 32px; max-width: 32px; max-height: 32px; padding: 1px; }}
    QToolButton[kind="round"]:focus {{ border: 2px solid {t.text}; padding: 0; }}
    QToolButton[kind="round"]:disabled {{ background: {t.line}; }}
    QToolButton[kind="status"] {{ color: {t.quiet}; padding: 2px 8px; }}
    QToolButton[kind="status"]:hover {{ color: {t.text}; }}
    QToolButton[kind="tool"]:checked {{ background: {t.selection}; color: {t.accent_text}; }}
    QToolButton[kind="view"] {{ padding: 6px 12px; border-radius: 6px; font-weight: 500; }}
    QToolButton[kind="view"]:checked {{ background: {t.selection}; color: {t.accent_text}; }}

    QAbstractScrollArea {{ border: none; }}
    QTableView {{ background: {t.panel}; color: {t.text}; border: none; outline: none;
        gridline-color: {t.line}; selection-background-color: {t.selection}; selection-color: {t.text}; }}
    QHeaderView {{ background: {t.panel}; border: none; }}
    QHeaderView::section {{ background: {t.panel}; color: {t.quiet}; border: none;
        border-bottom: 1px solid {t.line}; padding: 0 8px; font-size: 12px; }}
    QHeaderView::section:hover {{ color: {t.text}; }}
    QHeaderView::down-arrow, QHeaderView::up-arrow {{ width: 0; height: 0; }}
    QAbstractScrollArea::corner {{ background: {t.panel}; border: none; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
    QScrollBar::handle {{ background: {t.line}; border-radius: 4px; margin: 1px; }}
    QScrollBar::handle:hover {{ background: {t.quiet}; }}
    QScrollBar::handle:vertical {{ min-height: 32px; }}
    QScrollBar::handle:horizontal {{ min-width: 32px; }}
    QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
        background: none; border: none; width: 0; height: 0; }}
    """
