"""The settings of an Aculab Cloud server, also through the settings file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recmon.errors import SettingsError
from recmon.settings.model import SecretRef, TlsOptions
from recmon.settings.store import parse_settings
from recmon.vendors.aculab.options import AculabOptions

KEY, HOOK = SecretRef("keyring", "cloud"), SecretRef("env", "CLOUD_HOOK_SECRET")
ACCOUNT: dict[str, Any] = {
    "url": "https://ws-1-2-0.aculabcloud.net",
    "user": "1-2-0/user@example.com",
    "access_key": KEY,
}


def test_the_contracts_example_is_read(tmp_path: Path) -> None:
    text = (
        'version = 1\n[[servers]]\nname = "cloud"\nvendor = "aculab"\n'
        'url = "https://ws-1-2-0.aculabcloud.net"\nuser = "1-2-0/user@example.com"\n'
        'access_key = "keyring:cloud"\nhook_secret = "env:CLOUD_HOOK_SECRET"\n'
    )
    settings = parse_settings(text, tmp_path / "settings.toml", {"aculab": AculabOptions})
    assert settings.servers[0].options == AculabOptions(**ACCOUNT, hook_secret=HOOK)


def test_web_hooks_or_web_services_alone_suffice() -> None:
    assert AculabOptions(hook_secret=HOOK).host == ""
    made = AculabOptions(**ACCOUNT)
    assert (made.host, made.port, made.host_header) == (
        "ws-1-2-0.aculabcloud.net",
        443,
        "ws-1-2-0.aculabcloud.net",
    )
    assert made.tls == TlsOptions(None, None)
    other = AculabOptions(**ACCOUNT | {"url": "https://[::1]:8443/"})
    assert (other.host, other.port, other.host_header) == ("::1", 8443, "[::1]:8443")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "nothing says how to hear of calls"),
        ({"url": "https://ws.example"}, "used together"),
        (ACCOUNT | {"access_key": None}, "used together"),
        ({"hook_secret": HOOK, "fingerprint": "sha256:" + "0" * 64}, "need a url"),
        (ACCOUNT | {"url": "http://ws.example"}, "must begin with https"),
        (ACCOUNT | {"url": "https://u:p@ws.example"}, "must not contain a user"),
        (ACCOUNT | {"url": "https://ws.example/file_get"}, "must end after host and port"),
        (ACCOUNT | {"url": "https://ws example"}, "without spaces"),
        (ACCOUNT | {"url": "https://ws.example:99999"}, "is not an address"),
        (ACCOUNT | {"url": "ws.example"}, "must be https://"),
        (ACCOUNT | {"user": "user@example.com"}, "the cloud id, a slash"),
        (ACCOUNT | {"user": "1-2-0/a:b"}, "the cloud id, a slash"),
        (ACCOUNT | {"fingerprint": "sha256:12"}, "64 hex digits"),
        (ACCOUNT | {"parallel_downloads": 0}, "from 1 to 4"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AculabOptions(**values)


def test_problems_name_file_and_line(tmp_path: Path) -> None:
    text = 'version = 1\n[[servers]]\nname = "cloud"\nvendor = "aculab"\nhook_secret = "plain words"\n'
    with pytest.raises(SettingsError, match=r"settings\.toml:5: .*secrets are not stored"):
        parse_settings(text, tmp_path / "settings.toml", {"aculab": AculabOptions})
