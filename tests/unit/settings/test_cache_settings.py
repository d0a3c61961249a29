from __future__ import annotations

from pathlib import Path

import keyring
import pytest
from keyring.errors import KeyringLocked

from recmon.errors import SecretMissing, SettingsError
from recmon.settings.model import CacheSettings, SecretRef
from recmon.settings.secrets import KEYRING_SERVICE, reveal_or_make
from recmon.settings.store import parse_settings

FILE = Path("/settings/recmon.toml")


def read(text: str) -> CacheSettings:
    return parse_settings(f"version = 1\n{text}", FILE, {}).cache


def test_without_a_table_everything_stays_and_nothing_is_encrypted():
    assert read("") == CacheSettings(0, 0, False, SecretRef("keyring", "recordings"))


def test_limits_and_encryption_are_read():
    text = '[cache]\nsize_gb = 2.5\nage_days = 90\nencryption = true\nkey = "env:CACHE_KEY"'
    assert read(text) == CacheSettings(2.5, 90, True, SecretRef("env", "CACHE_KEY"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("size_gb = -1", "size_gb must not be negative"),
        ("age_days = -1", "age_days must not be negative"),
        ('encryption = "yes"', "encryption must be true or false"),
        ("sise_gb = 1", "did you mean size_gb"),
        ('key = "0123456789"', "secrets are not stored in this file"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(line, words):
    with pytest.raises(SettingsError) as caught:
        read(f"[cache]\n{line}")
    (problem,) = caught.value.problems
    assert problem.startswith(f"{FILE}:")
    assert words in problem


def test_a_key_is_made_once_and_then_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: kept.get((service, name)))
    monkeypatch.setattr(
        keyring, "set_password", lambda service, name, value: kept.update({(service, name): value})
    )
    made = iter(["first-made-key-00", "second-made-key-0"])
    ref = SecretRef("keyring", "recordings")
    assert reveal_or_make(ref, lambda: next(made)).reveal() == "first-made-key-00"
    assert reveal_or_make(ref, lambda: next(made)).reveal() == "first-made-key-00"
    assert list(kept) == [(KEYRING_SERVICE, "recordings")]


def test_a_locked_key_store_and_a_missing_variable_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*arguments: str) -> None:
        raise KeyringLocked

    monkeypatch.setattr(keyring, "get_password", lambda service, name: None)
    monkeypatch.setattr(keyring, "set_password", locked)
    with pytest.raises(SecretMissing, match="unlocked"):
        reveal_or_make(SecretRef("keyring", "recordings"), lambda: "made")
    monkeypatch.setattr(keyring, "get_password", locked)
    with pytest.raises(SecretMissing, match="did not answer"):
        reveal_or_make(SecretRef("keyring", "recordings"), lambda: "made")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(SecretMissing, match="is not set"):
        reveal_or_make(SecretRef("env", "NO_SUCH_KEY"), lambda: "made")
