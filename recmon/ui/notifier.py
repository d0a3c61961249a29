"""What the user is told: one sentence for every type of failure, saying what happened and what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from PySide6.QtCore import QObject, Signal

from recmon import errors
from recmon.errors import RecmonError


class NoticeKind(Enum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something told to the user, as plain text.

    Attributes:
        text: what happened, one sentence.
        help: what can be done; empty where nothing need be.
        kind: how much it matters.
        topic: what it is about; a newer notice of the same topic takes its place, and mending removes it.
    """

    text: str
    help: str = ""
    kind: NoticeKind = NoticeKind.INFO
    topic: str = ""


class Notifier(QObject):
    """Passes notices to whatever shows them.

    Signals:
        shown(Notice): show this.
        mended(str): what this topic's notice said is no longer true; take it away.
    """

    shown = Signal(object)
    mended = Signal(str)

    def tell(self, notice: Notice) -> None:
        """Show a notice."""
        self.shown.emit(notice)

    def tell_error(self, error: RecmonError, *, topic: str = "") -> None:
        """Show the sentence for a failure."""
        self.shown.emit(replace(sentence_for(error), topic=topic or type(error).__name__))

    def mend(self, topic: str) -> None:
        """Take a topic's notice away."""
        self.mended.emit(topic)


def sentence_for(error: RecmonError) -> Notice:
    """Return what a user reads about a failure."""
    for kind in type(error).__mro__:
        if kind in SENTENCES:
            text, help_text = SENTENCES[kind](error)
            return Notice(text, help_text, NoticeKind.WARNING if error.retryable else NoticeKind.ERROR)
    raise KeyError(type(error))  # RecmonError itself has a sentence


def _reason(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _sentence(text: str) -> str:
    reason = _reason(text)
    return reason if reason.endswith(("?", "!")) else f"{reason}."


def _settings(error: Any) -> tuple[str, str]:
    problems = error.problems
    first = problems[0] if problems else "no reason was told"
    more = "" if len(problems) < 2 else f" There are {len(problems) - 1} more problems."
    return (
        f"The settings cannot be used: {first.rstrip('.')}.{more}",
        "Correct the settings file and start again.",
    )


def _refused_login(error: Any) -> tuple[str, str]:
    difference = error.clock_difference_s
    if difference is not None and abs(difference) >= 60:
        ahead = "ahead of" if difference > 0 else "behind"
        minutes = round(abs(difference) / 60)
        return (
            f"{error.server} refused our credentials; its clock is {minutes} min {ahead} this computer's.",
            "Set the clock of this computer or of the server.",
        )
    return (
        f"{error.server} refused our credentials: {error.detail}.",
        "Check user, keys and password in the settings.",
    )


SENTENCES: dict[type[RecmonError], Callable[[Any], tuple[str, str]]] = {
    RecmonError: lambda e: (f"It did not work: {e}.", "Try again."),
    errors.SettingsError: _settings,
    errors.SettingsDamaged: lambda e: (
        f"The settings file cannot be read: {'; '.join(e.problems)}.",
        "Correct it in a text editor and start again.",
    ),
    errors.SettingsTooNew: lambda e: (
        f"The settings were written by a newer version of the program: {'; '.join(e.problems)}.",
        "Use that version, or another settings file.",
    ),
    errors.SecretMissing: lambda e: (
        f"A password or key is not where the settings say: {'; '.join(e.problems)}.",
        "Store it there, or correct the settings.",
    ),
    errors.LinkError: lambda e: (
        f"The connection to {e.server} failed: {e.detail}.",
        "It is tried again by itself.",
    ),
    errors.ConnectFailed: lambda e: (
        f"{e.server} cannot be reached: {e.detail}.",
        "Check host, port and firewall if it stays so.",
    ),
    errors.ConnectionLost: lambda e: (
        f"The connection to {e.server} ended: {e.detail}.",
        "It is made again by itself.",
    ),
    errors.IdleTimeout: lambda e: (
        f"{e.server} has fallen silent: {e.detail}.",
        "The connection is made again by itself.",
    ),
    errors.TlsFailed: lambda e: (
        f"The certificate of {e.server} was not accepted: {e.detail}.",
        "Name its authority (ca_file) or fingerprint in the settings, then try again.",
    ),
    errors.AuthenticationFailed: _refused_login,
    errors.ProtocolError: lambda e: (
        f"The server said something that cannot be right: {e.detail}.",
        "Check that port and vendor in the settings belong together.",
    ),
    errors.MessageTooLong: lambda e: (
        f"The server sent a message that is too long: {e.detail}.",
        "Check that port and vendor in the settings belong together.",
    ),
    errors.MalformedMessage: lambda e: (
        f"The server sent a message that cannot be read: {e.detail}.",
        "Check that port and vendor in the settings belong together.",
    ),
    errors.ListenerFailed: lambda e: (
        f"Web hooks cannot be received: {e.detail}.",
        "Put the table [listener] of the settings right; everything else works meanwhile.",
    ),
    errors.PortTaken: lambda e: (
        f"Web hooks cannot be received: port {e.port} is taken by {e.holder}.",
        f"End that program, or use port {e.free_port}: here for this run, in the settings for good."
        if e.free_port
        else "End that program, or choose another port in the table [listener] of the settings.",
    ),
    errors.HookUnreadable: lambda e: (
        f"A web hook could not be read: {e.detail}.",
        "Check what the sender is set up to send; nothing of it was kept.",
    ),
    errors.UnexpectedMessage: lambda e: (
        f"The server sent a message that does not belong here: {e.detail}.",
        "If it happens again, the log tells more.",
    ),
    errors.RequestRefused: lambda e: (
        f"The server refused our request: {e.detail} (code {e.code}).",
        "Ask the server's administrator what this code means there.",
    ),
    errors.AnswerNotReady: lambda e: (
        f"The answer is not there yet: {e.detail}.",
        "The server is asked again by itself.",
    ),
    errors.RecordingError: lambda e: (f"The recording cannot be had: {e.reason}.", "Try again."),
    errors.RecordingMissing: lambda e: (
        f"There is no recording to play: {e.reason}.",
        "It may not be there yet; try again after the call.",
    ),
    errors.RecordingForbidden: lambda e: (
        f"The server does not give us this recording: {e.reason}.",
        "Ask its administrator for the right to fetch it.",
    ),
    errors.LinkRefused: lambda e: (
        f"The link to the recording was not followed: {e.reason}.",
        "If it is right, add its host to link_hosts of this server in the settings.",
    ),
    errors.RecordingDamaged: lambda e: (
        f"What arrived is not a whole recording: {e.reason}.",
        "It was thrown away; try again.",
    ),
    errors.RecordingAltered: lambda e: (
        f"The recording is not what arrived here: {e.reason}.",
        "It was put out of use; fetch it again from its server.",
    ),
    errors.DownloadRefused: lambda e: (f"The server refused the download: {e.reason}.", "Try again later."),
    errors.DownloadInterrupted: lambda e: (
        f"The download broke off: {e.reason}.",
        "Try again; the network may have failed.",
    ),
    errors.RecordingNotReady: lambda e: (
        f"The recording is not there yet: {e.reason}.",
        "Try again in a moment, or have it fetched as soon as it is there.",
    ),
    errors.DownloadPostponed: lambda e: (
        f"The server is busy: {e.reason}.",
        "Try again in a moment.",
    ),
    errors.StoreError: lambda e: (
        f"The data folder cannot be used: {e.detail} ({e.path}).",
        "Check free space and permissions there, then start again.",
    ),
    errors.DatabaseSetAside: lambda e: (
        f"The history was damaged ({e.detail}), and an empty one was begun.",
        f"The damaged file is kept as {e.kept_as}; send it to whoever looks after this computer.",
    ),
    errors.CallNotFound: lambda e: (
        f"The call {e.call_id} is not in the history.",
        "It may have been removed.",
    ),
    errors.TranscriptUnreadable: lambda e: (
        f"{e.name} cannot be read as a transcript: {e.detail}.",
        "Choose a WebVTT, SRT or JSON file.",
    ),
    errors.NoteNotYours: lambda e: (
        f"This note was written by {e.author}: only its author can take it back.",
        "Write a note of your own beside it.",
    ),
    errors.CheckFailed: lambda e: (
        f"Something is wrong with {', '.join(e.servers)}.",
        "The steps of the check tell what, and what to do.",
    ),
    errors.NothingImported: lambda e: (
        f"No call could be read from {', '.join(e.paths)}.",
        "Choose a folder of metadata files, or a call list.",
    ),
    errors.QueryError: lambda e: (f"“{e.word}”: {_sentence(e.explanation)}", "Correct the search text."),
    errors.AudioError: lambda e: (f"Sound cannot be played: {e.detail}.", "Try again."),
    errors.NoOutputDevice: lambda e: (
        f"No sound device: {e.detail}.",
        "Connect one and press play again. The recording can be saved meanwhile.",
    ),
    errors.UnsupportedAudio: lambda e: (
        f"This form of sound cannot be played here: {e.detail}.",
        "Save the recording and open it in another player.",
    ),
    errors.HeadlessAudio: lambda e: (
        f"It is not known what this recording is: {e.detail}.",
        "Play it as A-law or µ-law, by the buttons in its details.",
    ),
    errors.OutputFailed: lambda e: (
        f"The sound device stopped working: {e.detail}.",
        "Check it and press play again.",
    ),
}
