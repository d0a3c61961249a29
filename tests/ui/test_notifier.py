"""One sentence for every type of failure."""

from __future__ import annotations

import pytest

from recmon import errors
from recmon.errors import RecmonError
from recmon.ui.notifier import SENTENCES, Notice, NoticeKind, Notifier, sentence_for

EXAMPLES: dict[type[RecmonError], RecmonError] = {
    errors.AuthenticationFailed: errors.AuthenticationFailed("archive", "wrong key", status=401),
    errors.RequestRefused: errors.RequestRefused("subscription refused", code="12"),
    errors.StoreError: errors.StoreError("history.sqlite3", "disk is full"),
    errors.DatabaseSetAside: errors.DatabaseSetAside("history.sqlite3", "not a database", "history.damaged"),
    errors.PortTaken: errors.PortTaken("127.0.0.1", 8790, 8791),
    errors.CallNotFound: errors.CallNotFound("east/1"),
    errors.TranscriptUnreadable: errors.TranscriptUnreadable("words.vtt", "no words are in it"),
    errors.AnswerNotReady: errors.AnswerNotReady("the server builds a file", retry_after_s=30),
    errors.QueryError: errors.QueryError("foo:bar", 5, "there is no search word foo"),
}


def every_type() -> list[type[RecmonError]]:
    found: list[type[RecmonError]] = []
    waiting: list[type[RecmonError]] = [RecmonError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__ == "recmon.errors":
            found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(set(found), key=lambda kind: kind.__name__)


def example(kind: type[RecmonError]) -> RecmonError:
    if kind in EXAMPLES:
        return EXAMPLES[kind]
    if issubclass(kind, errors.SettingsError):
        return kind(("settings.toml:3: port is missing",))
    if issubclass(kind, errors.LinkError):
        return kind("north", "connection refused")
    return kind("what was seen")


@pytest.mark.parametrize("kind", every_type(), ids=lambda kind: kind.__name__)
def test_every_type_has_a_sentence_of_its_own(kind: type[RecmonError]) -> None:
    assert kind in SENTENCES
    notice = sentence_for(example(kind))
    for words in (notice.text, notice.help):
        assert words.endswith(".")
        assert ".." not in words
        assert kind.__name__ not in words
    assert notice.kind is (NoticeKind.WARNING if kind.retryable else NoticeKind.ERROR)


def test_a_type_that_is_new_reads_like_the_one_it_derives_from() -> None:
    class Odd(errors.RecordingMissing):
        pass

    assert sentence_for(Odd("it is not there")) == sentence_for(errors.RecordingMissing("it is not there"))


def test_a_wrong_clock_is_named() -> None:
    error = errors.AuthenticationFailed("archive", "refused", clock_difference_s=-600)
    assert "10 min behind" in sentence_for(error).text


def test_an_error_can_be_told_and_mended_by_its_topic() -> None:
    notifier = Notifier()
    shown: list[Notice] = []
    mended: list[str] = []
    notifier.shown.connect(shown.append)
    notifier.mended.connect(mended.append)
    notifier.tell_error(errors.StoreError("history", "disk is full"), topic="history")
    notifier.mend("history")
    assert [notice.topic for notice in shown] == mended == ["history"]
