"""The settings of a CC-FS server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from recmon.settings.model import SecretRef, TlsOptions
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SECRET = SecretRef("env", "CCFS_SECRET_KEY")


def options(**values: Any) -> CcfsOptions:
    return CcfsOptions(
        **({"url": "https://127.0.0.1:18443", "access_key": "demo-ak-01", "secret_key": SECRET} | values)
    )


def test_defaults_are_those_of_the_contract() -> None:
    made = options()
    assert made.signed_headers == ("content-length", "content-type", "host")
    assert made.timestamp == "milliseconds"
    assert made.empty_query_line is False
    assert made.parallel_downloads == 2
    assert made.tls == TlsOptions(None, None)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://127.0.0.1:18443", "127.0.0.1:18443"),
        ("https://ccfs.example.com", "ccfs.example.com"),
        ("https://ccfs.example.com:443/", "ccfs.example.com"),
        ("HTTPS://CCFS.Example.com:8443", "ccfs.example.com:8443"),
        ("https://[2001:db8::1]:18443", "[2001:db8::1]:18443"),
        ("https://[2001:db8::1]", "[2001:db8::1]"),
    ],
)
def test_the_host_header_is_made_once_from_the_url(url: str, host: str) -> None:
    assert options(url=url).host_header == host


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"url": "http://ccfs.example.com:18080"}, "clear text"),
        ({"url": "ccfs.example.com:18443"}, "must be https://"),
        ({"url": "ftp://ccfs.example.com"}, "must be https://"),
        ({"url": "https://"}, "must be https://"),
        ({"url": "https://:18443"}, "must be https://"),
        ({"url": "https://ccfs.example.com:"}, "must be https://"),
        ({"url": "https://ccfs.example.com:0"}, "must be https://"),
        ({"url": "https://ccfs.example.com:99999"}, "not an address"),
        ({"url": "https://[2001:db8::1"}, "not an address"),
        ({"url": "https://ccfs.example.com:18443/CCFS"}, "after the port"),
        ({"url": "https://ccfs.example.com:18443?a=b"}, "after the port"),
        ({"url": "https://user:word@ccfs.example.com"}, "must not contain a user"),
        ({"url": "https://ccfs.\nexample.com"}, "control characters"),
        ({"url": "https://bücher.example.com"}, "must be https://"),
        ({"access_key": ""}, "access_key"),
        ({"access_key": "a/b"}, "access_key"),
        ({"access_key": "a b"}, "access_key"),
        ({"access_key": "a\r\nX-Other: 1"}, "access_key"),
        ({"fingerprint": "sha1:00"}, "64 hex digits"),
        ({"signed_headers": ("content-type",)}, "must contain host"),
        ({"signed_headers": ()}, "must contain host"),
        ({"signed_headers": ("host", "accept")}, "'accept'"),
        ({"signed_headers": ("host", "Host")}, "twice"),
        ({"parallel_downloads": 0}, "from 1 to 4"),
        ({"parallel_downloads": 5}, "from 1 to 4"),
    ],
)
def test_values_that_cannot_work_are_refused_in_words(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]") as caught:
        options(**values)
    assert words in str(caught.value)


def test_a_password_in_the_url_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(ValueError, match="user or password") as caught:
        options(url="https://someone:hidden-word@ccfs.example.com")
    assert "hidden-word" not in str(caught.value)


def test_a_fingerprint_may_be_written_with_colons() -> None:
    digits = ":".join(["AB"] * 32)
    assert options(fingerprint=f"sha256:{digits}").tls.fingerprint == f"sha256:{digits}"


def test_pydantic_reads_a_table_and_refuses_unknown_keys() -> None:
    adapter = TypeAdapter(CcfsOptions)
    table = {
        "url": "https://127.0.0.1:18443",
        "access_key": "demo-ak-01",
        "secret_key": SECRET,
        "ca_file": "ca.pem",
        "signed_headers": ["host"],
        "timestamp": "seconds",
    }
    read = adapter.validate_python(table)
    assert read.ca_file == Path("ca.pem")
    assert read.signed_headers == ("host",)
    with pytest.raises(ValidationError, match="paralel_downloads"):
        adapter.validate_python(table | {"paralel_downloads": 1})
    with pytest.raises(ValidationError, match="timestamp"):
        adapter.validate_python(table | {"timestamp": "minutes"})
