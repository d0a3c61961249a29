from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from recmon.errors import SettingsError, TlsFailed
from recmon.net.http import HttpClient
from recmon.net.tls import client_context, fingerprint_digest, tls_failure
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse
from recmon.settings.model import TlsOptions

SECRET = "auth-v2/ak/time/host/signature"


def ask() -> HttpFlow[HttpResponse]:
    return (yield HttpRequest("GET", "/", (("Host", "h"), ("Authorization", SECRET))))


def fingerprint_of(certificate: trustme.LeafCert) -> str:
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


class Listener:
    """Answers one TLS connection in a thread, and counts the bytes of a request that arrive in it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.received = 0
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        # The client is expected to hang up on a certificate that it refuses.
        with contextlib.suppress(OSError):
            plain, _ = self._socket.accept()
            with plain:
                plain.settimeout(10)
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    while data := connection.recv(65536):
                        self.received += len(data)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def connect(run: Callable[..., Any]) -> Callable[..., tuple[TlsFailed | None, int]]:
    """Send one request under the given check; return the refusal and what arrived of the request."""

    def start(context: ssl.SSLContext, tls: TlsOptions) -> tuple[TlsFailed | None, int]:
        async def main(port: int) -> TlsFailed | None:
            client = HttpClient("archive", f"https://127.0.0.1:{port}", tls)
            try:
                await client.run(ask())
            except TlsFailed as error:
                return error
            finally:
                await client.close()
            return None

        with Listener(context) as listener:
            failure = run(main(listener.port))
        return failure, listener.received

    return start


def test_a_certificate_of_the_given_authority_is_accepted(connect, authority):
    failure, received = connect(authority.context(), TlsOptions(ca_file=authority.file))
    assert failure is None
    assert received > 0


def test_a_pinned_certificate_is_accepted_whoever_signed_it(connect, authority):
    certificate = authority.issue("another-host.example")
    pinned = TlsOptions(fingerprint=fingerprint_of(certificate))
    assert connect(authority.context(certificate), pinned)[0] is None


def test_a_pin_may_be_written_with_colons_and_capitals(connect, authority):
    certificate = authority.issue()
    digits = fingerprint_of(certificate).removeprefix("sha256:").upper()
    pairs = ":".join(digits[i : i + 2] for i in range(0, 64, 2))
    pinned = TlsOptions(fingerprint=f"SHA256:{pairs}")
    assert connect(authority.context(certificate), pinned)[0] is None


def test_a_server_certificate_itself_can_be_the_ca_file(connect, authority, tmp_path):
    certificate = authority.issue()
    file = tmp_path / "server.pem"
    certificate.cert_chain_pems[0].write_to_path(str(file))
    assert connect(authority.context(certificate), TlsOptions(ca_file=file))[0] is None


def _bad_cases(authority: Any, folder: Path) -> dict[str, tuple[ssl.SSLContext, TlsOptions, str]]:
    now = datetime.now(UTC)
    trusted = TlsOptions(ca_file=authority.file)
    stranger = trustme.CA()
    from_stranger = stranger.issue_cert("127.0.0.1")
    stranger_file = folder / "stranger.pem"
    stranger.cert_pem.write_to_path(str(stranger_file))
    good = authority.issue()
    old = authority.issue(not_before=now - timedelta(days=9), not_after=now - timedelta(days=2))
    early = authority.issue(not_before=now + timedelta(days=2), not_after=now + timedelta(days=9))
    name_only = authority.issue("elsewhere.example", common_name="127.0.0.1")
    other_pin = TlsOptions(fingerprint="sha256:" + "0" * 64)
    both = TlsOptions(ca_file=authority.file, fingerprint=fingerprint_of(from_stranger))
    obsolete = authority.context()
    obsolete.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        obsolete.minimum_version = obsolete.maximum_version = ssl.TLSVersion.TLSv1_1
    return {
        "expired": (authority.context(old), trusted, "expired"),
        "not valid yet": (authority.context(early), trusted, "not valid yet"),
        "wrong host": (authority.context(authority.issue("elsewhere.example")), trusted, "another"),
        "common name only": (authority.context(name_only), trusted, "another"),
        "unknown authority": (authority.context(from_stranger), trusted, "not known here"),
        "unknown to the system": (authority.context(good), TlsOptions(), "not known here"),
        "authority of another": (authority.context(good), TlsOptions(ca_file=stranger_file), "not known"),
        "other pin": (authority.context(good), other_pin, "another fingerprint"),
        "pin without chain": (authority.context(from_stranger), both, "not known here"),
        "old protocol": (obsolete, trusted, "no longer safe"),
    }


BAD = (
    "expired",
    "not valid yet",
    "wrong host",
    "common name only",
    "unknown authority",
    "unknown to the system",
    "authority of another",
    "other pin",
    "pin without chain",
    "old protocol",
)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_certificate_is_refused_with_a_reason_before_a_byte_is_sent(connect, authority, tmp_path, case):
    context, tls, reason = _bad_cases(authority, tmp_path)[case]
    failure, received = connect(context, tls)
    assert failure is not None
    assert reason in failure.detail
    assert (failure.server, failure.retryable) == ("archive", False)
    assert received == 0


def test_a_self_signed_certificate_is_refused_unless_pinned(connect, tmp_path):
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=box -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [*make.split(), "-keyout", str(key), "-out", str(file)], check=True, capture_output=True, timeout=30
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read_text())).hexdigest()

    failure, received = connect(context, TlsOptions())
    assert failure is not None
    assert "signed by itself" in failure.detail
    assert received == 0
    assert connect(context, TlsOptions(fingerprint=f"sha256:{digest}"))[0] is None
    assert connect(context, TlsOptions(ca_file=file))[0] is None


def test_clear_text_where_tls_is_expected_is_named_so(run):
    async def main():
        async def greet(reader, writer):
            writer.write(b"SSH-2.0-something\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        client = HttpClient("a", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", TlsOptions())
        try:
            await client.run(ask())
        finally:
            await client.close()
            server.close()

    with pytest.raises(TlsFailed, match="does not speak TLS"):
        run(main())


def test_the_context_always_checks():
    assert client_context(TlsOptions()).verify_mode is ssl.CERT_REQUIRED
    assert client_context(TlsOptions()).check_hostname
    assert client_context(TlsOptions()).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:12", "md5:" + "0" * 32, "0" * 64, "sha256:" + "g" * 64]
)
def test_a_fingerprint_of_another_form_is_refused(text):
    with pytest.raises(SettingsError, match="64 hex digits"):
        fingerprint_digest(TlsOptions(fingerprint=text))


def test_a_ca_file_that_cannot_be_used_is_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        client_context(TlsOptions(ca_file=tmp_path / "none.pem"))
    text = tmp_path / "text.pem"
    text.write_text("not a certificate")
    with pytest.raises(SettingsError, match="no PEM certificate"):
        client_context(TlsOptions(ca_file=text))


def test_an_unknown_tls_fault_keeps_its_name():
    assert "sslerror" in tls_failure("archive", ssl.SSLError()).detail


def test_the_module_loads_without_aiohttp():
    code = "import sys, recmon.net.tls; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
