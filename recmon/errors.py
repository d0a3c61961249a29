"""Every exception type of the program.

An exception holds facts as attributes; its text is one English line for the log. The sentence a user reads
is chosen by type in the front ends. Secrets never enter an exception.
"""

from __future__ import annotations

from typing import ClassVar


class RecmonError(Exception):
    """An expected failure, told to the user in words."""

    retryable: ClassVar[bool] = False


# Settings


class SettingsError(RecmonError):
    """The settings cannot be used.

    Attributes:
        problems: one sentence each, with file and line in front where they are known.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class SettingsDamaged(SettingsError):
    """The settings file is not TOML, or not text."""


class SettingsTooNew(SettingsError):
    """The settings were written by a newer version of the program."""


class SecretMissing(SettingsError):
    """A secret that the settings refer to is not where they say."""


# Links


class LinkError(RecmonError):
    """The live connection to a server failed.

    Attributes:
        server: name of the server in the settings.
        detail: what exactly was seen.
    """

    retryable = True

    def __init__(self, server: str, detail: str) -> None:
        super().__init__(f"{server}: {detail}")
        self.server = server
        self.detail = detail


class ConnectFailed(LinkError):
    """No connection could be made (refused, unreachable, no such name, too slow)."""


class ConnectionLost(LinkError):
    """An established connection ended."""


class IdleTimeout(LinkError):
    """The server stayed silent beyond its own keep-alive interval, or did not answer a request."""


class TlsFailed(LinkError):
    """The server's certificate or TLS handshake was not acceptable."""

    retryable = False


class ListenerFailed(RecmonError):
    """Web hooks cannot be received.

    Attributes:
        detail: what exactly was seen.
    """

    retryable = True

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class PortTaken(ListenerFailed):
    """Another program listens where web hooks should be received.

    Attributes:
        port: of the settings.
        free_port: one that could be used instead, or None.
        holder: that program in words, its name where the system tells it.
    """

    def __init__(self, host: str, port: int, free_port: int | None, holder: str | None = None) -> None:
        self.port = port
        self.free_port = free_port
        self.holder = holder or "another program"
        offer = "" if free_port is None else f"; port {free_port} is free"
        super().__init__(f"port {port} on {host} is taken by {self.holder}{offer}")


class AuthenticationFailed(RecmonError):
    """A server refused our credentials; nothing is tried again by itself.

    Attributes:
        server: name of the server in the settings.
        status: HTTP status, or None for other protocols.
        detail: what exactly was seen.
        clock_difference_s: server clock minus ours in seconds, where the reply told it.
    """

    def __init__(
        self, server: str, detail: str, *, status: int | None = None, clock_difference_s: float | None = None
    ) -> None:
        super().__init__(f"{server}: {detail}")
        self.server = server
        self.detail = detail
        self.status = status
        self.clock_difference_s = clock_difference_s


# Protocols


class ProtocolError(RecmonError):
    """The peer said something that its protocol does not allow.

    Attributes:
        detail: what exactly was seen.
        excerpt: the beginning of the offending bytes as text, bounded and masked.
        offset: position of these bytes in the stream, or None.
    """

    def __init__(self, detail: str, *, excerpt: str = "", offset: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.excerpt = excerpt
        self.offset = offset


class MessageTooLong(ProtocolError):
    """A message is larger than the cap; the link is dropped."""


class MalformedMessage(ProtocolError):
    """A message cannot be read."""


class HookUnreadable(MalformedMessage):
    """A web hook cannot be understood.

    Attributes:
        status: HTTP status of the answer, 400 or 422.
    """

    def __init__(
        self, detail: str, *, status: int = 400, excerpt: str = "", offset: int | None = None
    ) -> None:
        super().__init__(detail, excerpt=excerpt, offset=offset)
        self.status = status


class UnexpectedMessage(ProtocolError):
    """A message can be read, but says something that cannot follow."""


class RequestRefused(ProtocolError):
    """A server answered our request with an error.

    Attributes:
        code: the server's own code, as text.
    """

    def __init__(self, detail: str, *, code: str) -> None:
        super().__init__(f"{detail} (code {code})")
        self.code = code


class AnswerNotReady(RecmonError):
    """A server works on an answer that takes it a while; ask again then.

    Attributes:
        detail: what it works on.
        retry_after_s: how long to wait before asking again.
    """

    retryable = True

    def __init__(self, detail: str, *, retry_after_s: float) -> None:
        super().__init__(f"{detail}; asked again in {retry_after_s:.0f} s")
        self.detail = detail
        self.retry_after_s = retry_after_s


# Recordings


class RecordingError(RecmonError):
    """A recording cannot be had.

    Attributes:
        reason: what is wrong, in plain words without a full stop.
        code: the server's own code, as text, or None.
    """

    def __init__(self, reason: str, *, code: str | None = None) -> None:
        super().__init__(reason if code is None else f"{reason} (code {code})")
        self.reason = reason
        self.code = code


class RecordingMissing(RecordingError):
    """The server does not have it, or not yet; or the call tells no place to look."""


class RecordingForbidden(RecordingError):
    """The server has it and does not give it to us."""


class RecordingDamaged(RecordingError):
    """What arrived is not a whole recording; it was thrown away."""


class RecordingAltered(RecordingError):
    """The file on this computer is not what arrived: damaged or tampered with since."""


class LinkRefused(RecordingError):
    """A link to a recording leads where the settings do not allow; nothing was asked there.

    Attributes:
        host: where it leads, as far as that can be told.
    """

    def __init__(self, reason: str, *, host: str = "") -> None:
        super().__init__(reason)
        self.host = host


class DownloadRefused(RecordingError):
    """The server answered the download with an error object."""


class DownloadInterrupted(RecordingError):
    """The transfer broke off or made no progress."""

    retryable = True


class DownloadPostponed(RecordingError):
    """The server asks to come back later (flow control).

    Attributes:
        retry_after_s: how long it asks to wait, where it tells.
    """

    retryable = True

    def __init__(self, reason: str, *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(reason, code=code)
        self.retry_after_s = retry_after_s


class RecordingNotReady(DownloadPostponed):
    """The server announced the recording and does not have it yet; its other recordings are not concerned."""


# Storage


class StoreError(RecmonError):
    """The database or the data folder cannot be used.

    Attributes:
        path: the file or folder concerned, as text.
        detail: what exactly was seen.
    """

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path
        self.detail = detail


class DatabaseSetAside(StoreError):
    """The database was damaged; it was moved away and an empty one begun.

    Attributes:
        kept_as: where the damaged file is now, as text.
    """

    def __init__(self, path: str, detail: str, kept_as: str) -> None:
        super().__init__(path, detail)
        self.kept_as = kept_as

    def __str__(self) -> str:
        return f"{self.path}: damaged ({self.detail}); kept as {self.kept_as}, an empty one was begun"


class CallNotFound(RecmonError):
    """No stored call has this id.

    Attributes:
        call_id: as the user gave it.
    """

    def __init__(self, call_id: str) -> None:
        super().__init__(f"no stored call has the id {call_id}")
        self.call_id = call_id


class TranscriptUnreadable(RecmonError):
    """A file that should be a transcript cannot be read as one.

    Attributes:
        name: of the file.
        detail: what is wrong with it.
    """

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


class NoteNotYours(RecmonError):
    """Somebody else's note was to be taken back.

    Attributes:
        author: who wrote it.
    """

    def __init__(self, author: str) -> None:
        super().__init__(f"the note was written by {author}")
        self.author = author


class CheckFailed(RecmonError):
    """The check of a server found something wrong; its steps have told what.

    Attributes:
        servers: names of the servers in the settings.
    """

    def __init__(self, servers: tuple[str, ...]) -> None:
        super().__init__(f"something is wrong with {', '.join(servers)}; see the steps")
        self.servers = servers


class NothingImported(RecmonError):
    """Nothing of what was to be imported is a call that can be read.

    Attributes:
        paths: the files and folders, as text.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__(f"no call could be read from {', '.join(paths)}")
        self.paths = paths


class QueryError(RecmonError):
    """A search text cannot be understood.

    Attributes:
        word: the part that is wrong, as typed.
        position: its place in the text, counted from 0.
        explanation: what is wrong and what would be right.
    """

    def __init__(self, word: str, position: int, explanation: str) -> None:
        super().__init__(f"{word!r} at {position + 1}: {explanation}")
        self.word = word
        self.position = position
        self.explanation = explanation


# Sound


class AudioError(RecmonError):
    """Sound cannot be played.

    Attributes:
        detail: what exactly was seen.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NoOutputDevice(AudioError):
    """The computer has no sound output, or no sound library."""


class UnsupportedAudio(AudioError):
    """The file is whole but in a form that cannot be played here; the detail names it."""


class HeadlessAudio(UnsupportedAudio):
    """Nothing in the file tells what it is: a listener may say that it is bare telephone sound."""


class OutputFailed(AudioError):
    """The sound device stopped working."""
