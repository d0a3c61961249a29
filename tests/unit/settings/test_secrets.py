from __future__ import annotations

from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from recmon import logs
from recmon.errors import SecretMissing
from recmon.logs import MASK, mask
from recmon.settings.model import Secret, SecretRef
from recmon.settings.secrets import reveal_secret

CANARY = "CANARY-1234"


class MemoryKeyring(KeyringBackend):
    """A key store of the test's own."""

    priority = 1.0  # type: ignore[assignment]  # keyring declares a class property that a number overrides

    def __init__(self) -> None:
        super().__init__()
        self.kept = {("recmon", "east"): CANARY}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture(autouse=True)
def _forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_known_secrets", logs._KnownSecrets())


@pytest.fixture
def key_store(monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    store = MemoryKeyring()
    monkeypatch.setattr(keyring, "get_password", store.get_password)
    return store


def private(path: Path, content: str | bytes) -> SecretRef:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return SecretRef("file", str(path))


def test_reference_is_read_and_written() -> None:
    assert SecretRef.parse("file:C:/keys/a") == SecretRef("file", "C:/keys/a")
    assert str(SecretRef.parse("env:A")) == "env:A"


@pytest.mark.parametrize("text", ["", "CANARY", "other:CANARY", "env:", "env: ", ":CANARY", "ENV:CANARY"])
def test_plain_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="secrets are not stored in this file") as caught:
        SecretRef.parse(text)
    assert "CANARY" not in str(caught.value)


def test_secret_shows_itself_to_nobody() -> None:
    assert CANARY not in repr(Secret(CANARY))
    assert CANARY not in f"{Secret(CANARY)} {[Secret(CANARY)]}"


def test_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECMON_TEST_SECRET", CANARY)
    assert reveal_secret(SecretRef("env", "RECMON_TEST_SECRET")).reveal() == CANARY
    assert mask(f"x {CANARY} y") == f"x {MASK} y"


def test_missing_and_empty_environment_variables_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECMON_TEST_SECRET", raising=False)
    with pytest.raises(SecretMissing, match="is not set"):
        reveal_secret(SecretRef("env", "RECMON_TEST_SECRET"))
    monkeypatch.setenv("RECMON_TEST_SECRET", "")
    with pytest.raises(SecretMissing, match="is empty"):
        reveal_secret(SecretRef("env", "RECMON_TEST_SECRET"))


@pytest.mark.parametrize(
    ("content", "value"),
    [("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("\ufeffa", "a"), (" a ", " a ")],
)
def test_secret_comes_from_a_file_without_its_line_end(content: str, value: str, tmp_path: Path) -> None:
    assert reveal_secret(private(tmp_path / "key", content)).reveal() == value


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o610])
def test_file_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    ref = private(tmp_path / "key", CANARY)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(SecretMissing, match="chmod 600") as caught:
        reveal_secret(ref)
    assert CANARY not in str(caught.value)


def test_file_that_is_no_secret_is_refused(tmp_path: Path) -> None:
    for content, words in (
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe" * 10, "UTF-8"),
        (b"x" * 70_000, "large"),
    ):
        with pytest.raises(SecretMissing, match=words) as caught:
            reveal_secret(private(tmp_path / "key", content))
        assert caught.value.__cause__ is None
    with pytest.raises(SecretMissing, match="cannot be read"):
        reveal_secret(SecretRef("file", str(tmp_path / "none")))
    with pytest.raises(SecretMissing, match="not a file"):
        reveal_secret(SecretRef("file", str(tmp_path)))


def test_secret_comes_from_the_key_store(key_store: MemoryKeyring) -> None:
    assert reveal_secret(SecretRef("keyring", "east")).reveal() == CANARY
    with pytest.raises(SecretMissing, match="keyring set recmon west"):
        reveal_secret(SecretRef("keyring", "west"))


def test_locked_key_store_is_told(key_store: MemoryKeyring) -> None:
    key_store.is_locked = True
    with pytest.raises(SecretMissing, match="is it unlocked"):
        reveal_secret(SecretRef("keyring", "east"))


def test_system_without_key_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends import fail

    monkeypatch.setattr(keyring, "get_password", fail.Keyring().get_password)
    with pytest.raises(SecretMissing, match="use env: or file: instead"):
        reveal_secret(SecretRef("keyring", "east"))


def test_other_scheme_is_refused() -> None:
    with pytest.raises(SecretMissing, match="keyring:, env: or file:"):
        reveal_secret(SecretRef("vault", "x"))
