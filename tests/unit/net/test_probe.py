"""What answers at an address, step by step: real sockets that refuse, are silent, or speak something else."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from line_server import LineServer, utc_now

from recmon.domain.checks import Finding, Verdict
from recmon.errors import MalformedMessage
from recmon.net.names import system_lookup
from recmon.net.probe import Probe, ProbeLimits
from recmon.settings.model import TlsOptions
from recmon.vendors.base import CheckedPlace

QUICK = ProbeLimits(name_s=2.0, connect_s=0.3, tls_s=0.3, quiet_s=0.05, answer_s=0.3)
PATIENT = ProbeLimits(quiet_s=0.05)


class LineQuestion:
    """Asks one line, and takes the first whole line for the answer."""

    step = "question"
    request = b"hello\n"

    def __init__(self) -> None:
        self._heard = b""

    def receive_data(self, data: bytes, at: datetime) -> Finding | None:
        self._heard += data
        if b"broken\n" in self._heard:
            raise MalformedMessage("the line is broken")
        return Finding(Verdict.OK, self._heard.decode().strip()) if self._heard.endswith(b"\n") else None

    def receive_eof(self, at: datetime) -> Finding:
        return Finding(Verdict.FAILED, f"closed after {self._heard!r}")

    def no_answer(self, waited_s: float) -> Finding:
        return Finding(Verdict.FAILED, f"nothing within {waited_s:g} s")


def place(port: int, host: str = "127.0.0.1", tls: TlsOptions | None = None) -> CheckedPlace:
    return CheckedPlace("", host, port, tls)


async def steps_of(
    where: CheckedPlace,
    limits: ProbeLimits = PATIENT,
    lookup: Callable[[str, int], list[str]] = system_lookup,
    now: Callable[[], datetime] = utc_now,
) -> list[Finding]:
    """Go through the steps up to the first that fails."""
    probe = Probe("east", where, now=now, limits=limits, lookup=lookup)
    findings: list[Finding] = []
    try:
        for step in (
            probe.look_up,
            probe.connect,
            probe.secure,
            probe.listen,
            lambda: probe.ask(LineQuestion()),
        ):
            findings.append(await step())
            if findings[-1].verdict is Verdict.FAILED:
                break
    finally:
        probe.close()
    return findings


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


class Authority:
    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def context(self, *names: str, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or ("127.0.0.1", "localhost")), **options).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def verdicts(findings: Sequence[Finding]) -> list[str]:
    return [finding.verdict.value for finding in findings]


def test_a_server_that_answers_passes_every_step(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async with LineServer(b"") as server:
            asking = asyncio.ensure_future(steps_of(place(server.port, "localhost")))
            await server.until(lambda: b"hello" in server.received)
            server.send(b"welc")
            server.send(b"ome\n")
            return await asking

    findings = run(main())
    assert verdicts(findings) == ["ok", "ok", "skipped", "ok", "ok"]
    assert findings[0].text.startswith("localhost is ")
    assert findings[1].text.endswith("takes connections")
    assert findings[3].text == "the server waits for a question, as is usual"
    assert findings[4].text == "welcome"


def test_an_unknown_name_says_what_to_look_at(run: Callable[..., Any]) -> None:
    def lookup(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    (name,) = run(steps_of(place(1, "recorder.invalid"), lookup=lookup))
    assert name.text == "the name recorder.invalid was not found (Name or service not known)"
    assert "name service" in name.advice


def test_a_name_service_that_hangs_is_given_up(run: Callable[..., Any]) -> None:
    answered = threading.Event()

    def lookup(host: str, port: int) -> list[str]:
        answered.wait(10)
        return []

    async def main() -> list[Finding]:
        try:
            return await steps_of(place(1, "slow.example"), ProbeLimits(name_s=0.1), lookup)
        finally:
            answered.set()

    (name,) = run(main())
    assert name.text == "the name service did not answer for slow.example within 0.1 s"


def test_a_name_without_addresses_fails(run: Callable[..., Any]) -> None:
    (name,) = run(steps_of(place(1, "empty.example"), lookup=lambda host, port: []))
    assert name.text == "the name empty.example has no address"


def test_a_refused_connection_is_told_with_its_port(run: Callable[..., Any]) -> None:
    port = free_port()
    _, tcp = run(steps_of(place(port)))
    assert tcp.verdict is Verdict.FAILED
    assert tcp.text == f"nothing listens on 127.0.0.1:{port} (connection refused)"
    assert tcp.advice == "Check the port in the settings, and whether the service runs."


def test_a_black_hole_is_given_up_at_the_deadline(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            # Once its queue is full, the system drops further requests to connect, as a black hole does.
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            try:
                return await steps_of(place(full.getsockname()[1]), QUICK)
            finally:
                for filler in fillers:
                    filler.close()

    _, tcp = run(main())
    assert tcp.text.endswith("did not answer within 0.3 s")
    assert "firewall" in tcp.advice


def test_the_next_address_is_tried(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async with LineServer(b"welcome\n") as server:
            return await steps_of(
                place(server.port, "both.example"), lookup=lambda host, port: ["127.0.0.2", "127.0.0.1"]
            )

    findings = run(main())
    assert findings[0].text == "both.example is 127.0.0.2, 127.0.0.1"
    assert findings[1].text.startswith("127.0.0.1:")
    assert findings[-1].text == "welcome"


# TLS


class HandshakeServer:
    """Does TLS handshakes in a thread of its own, where a refusal by the client disturbs nobody."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.patience_s = 0.3 if context is None else 10.0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> HandshakeServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        # Wakes the thread out of its wait for a connection.
        self._is_over = True
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        self._thread.join(5)
        self._listener.close()

    _is_over = False

    def _serve(self) -> None:
        while not self._is_over:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                connection.settimeout(5)
                if self._context is None:
                    while connection.recv(4096):
                        pass
                else:
                    with self._context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)


def secure(run: Callable[..., Any], context: ssl.SSLContext | None, tls: TlsOptions, **more: Any) -> Finding:
    with HandshakeServer(context) as server:
        findings = run(
            steps_of(place(server.port, tls=tls), replace(PATIENT, tls_s=server.patience_s), **more)
        )
    return findings[2]


def test_an_accepted_certificate_is_told_with_its_end(run: Callable[..., Any], authority: Authority) -> None:
    end = datetime.now(UTC) + timedelta(days=300)
    finding = secure(run, authority.context(not_after=end), TlsOptions(authority.file))
    assert finding.verdict is Verdict.OK
    assert finding.text == f"TLSv1.3; the certificate was accepted by ca_file, valid until {end:%Y-%m-%d}"


def test_a_certificate_that_ends_soon_is_noted(run: Callable[..., Any], authority: Authority) -> None:
    end = datetime.now(UTC) + timedelta(days=9)
    finding = secure(run, authority.context(not_after=end), TlsOptions(authority.file))
    assert finding.verdict is Verdict.NOTE
    assert finding.text.endswith("which is soon")
    assert "new certificate" in finding.advice


def test_a_pinned_certificate_is_named(run: Callable[..., Any], authority: Authority) -> None:
    wrong = secure(run, context := authority.context(), TlsOptions(None, "sha256:" + "00" * 32))
    assert wrong.verdict is Verdict.FAILED
    fingerprint = wrong.text.rpartition(" ")[2]
    assert fingerprint.startswith("sha256:")
    right = secure(run, context, TlsOptions(None, fingerprint))
    assert right.text == f"TLSv1.3; the certificate is the pinned one, {fingerprint}"


@pytest.mark.parametrize(
    ("names", "days", "text", "advice"),
    [
        (
            ("elsewhere.example",),
            90,
            "the certificate is for another address",
            "the name that the certificate",
        ),
        ((), -1, "the certificate has expired", "new certificate"),
    ],
)
def test_a_refused_certificate_says_why_and_what_helps(
    run: Callable[..., Any],
    authority: Authority,
    names: tuple[str, ...],
    days: int,
    text: str,
    advice: str,
) -> None:
    context = authority.context(*names, not_after=datetime.now(UTC) + timedelta(days=days))
    finding = secure(run, context, TlsOptions(authority.file))
    assert finding.verdict is Verdict.FAILED
    assert finding.text == text
    assert advice in finding.advice


def test_an_unknown_authority_points_to_ca_file_and_fingerprint(
    run: Callable[..., Any], authority: Authority
) -> None:
    finding = secure(run, authority.context(), TlsOptions())
    assert finding.text == "the certificate is signed by an authority that is not known here"
    assert "ca_file" in finding.advice
    assert "fingerprint" in finding.advice


def test_tls_against_a_silent_clear_text_port_is_told(run: Callable[..., Any]) -> None:
    finding = secure(run, None, TlsOptions())
    assert finding.text == "no answer to the TLS handshake within 0.3 s"
    assert "clear text" in finding.advice


def test_tls_against_a_port_that_answers_in_clear_text_is_told(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async with LineServer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
            return await steps_of(place(server.port, tls=TlsOptions()))

    finding = run(main())[-1]
    assert finding.text == "the server does not speak TLS on this port"
    assert "clear-text port" in finding.advice


def test_a_server_that_ends_the_handshake_is_told(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.transport.abort()

        async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
            return await steps_of(place(server.sockets[0].getsockname()[1], tls=TlsOptions()))

    finding = run(main())[-1]
    assert finding.verdict is Verdict.FAILED
    assert "handshake" in finding.text
    assert "tls" in finding.advice


def test_a_missing_ca_file_is_told(run: Callable[..., Any], tmp_path: Path) -> None:
    finding = secure(run, None, TlsOptions(tmp_path / "none.pem"))
    assert finding.verdict is Verdict.FAILED
    assert "none.pem" in finding.text
    assert finding.advice == "Correct this in the settings."


def test_clear_text_against_a_tls_port_that_closes_is_told(
    run: Callable[..., Any], authority: Authority
) -> None:
    with HandshakeServer(authority.context()) as server:
        finding = run(steps_of(place(server.port)))[-1]
    assert finding.verdict is Verdict.FAILED
    assert finding.text == "the server speaks TLS on this port, and closes clear text"
    assert finding.advice == "Set tls for this server."


# First bytes and the answer


@pytest.mark.parametrize(
    ("greeting", "verdict", "text"),
    [
        (b"HTTP/1.1 408 Request Timeout\r\n\r\n", Verdict.FAILED, "HTTP answered on this port"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", Verdict.FAILED, "SSH answered on this port"),
        (b"\x15\x03\x03\x00\x02\x02\x28", Verdict.FAILED, "TLS answered on this port"),
        (b'<?xml version="1.0"?>\n', Verdict.OK, "XML arrived unasked: "),
        (
            b"\xff\x00\x07zz\n",
            Verdict.NOTE,
            r"bytes arrived unasked that are not known here: \\xff\x00\x07zz\n",
        ),
    ],
)
def test_what_is_said_unasked_is_recognised(
    run: Callable[..., Any], greeting: bytes, verdict: Verdict, text: str
) -> None:
    async def main() -> list[Finding]:
        async with LineServer(greeting) as server:
            probe = Probe("east", place(server.port), now=utc_now, limits=PATIENT)
            try:
                return [
                    await probe.look_up(),
                    await probe.connect(),
                    await probe.secure(),
                    await probe.listen(),
                ]
            finally:
                probe.close()

    finding = run(main())[-1]
    assert finding.verdict is verdict
    assert finding.text.startswith(text.replace("\\\\", "\\"))
    assert bool(finding.advice) is (verdict is not Verdict.OK)


def test_what_was_said_unasked_is_handed_to_the_question(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async with LineServer(b"early\n") as server:
            return await steps_of(place(server.port))

    assert run(main())[-1].text == "early"


def test_a_server_that_closes_at_once_is_told(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
            return await steps_of(place(server.sockets[0].getsockname()[1]), ProbeLimits())

    finding = run(main())[-1]
    assert finding.text == "the server closed the connection at once"
    assert "other addresses" in finding.advice


def test_a_question_without_an_answer_ends_at_its_deadline(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async with LineServer(b"") as server:
            return await steps_of(place(server.port), QUICK)

    assert run(main())[-1].text == "nothing within 0.3 s"


def test_a_flood_without_an_answer_ends_at_the_deadline_too(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while True:
                    writer.write(b"x" * 8192)
                    await writer.drain()
            writer.close()
            ended.set()

        ended = asyncio.Event()
        async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
            findings = await steps_of(place(server.sockets[0].getsockname()[1]), QUICK)
            await ended.wait()
        return findings

    assert run(main())[-1].text == "nothing within 0.3 s"


def test_a_connection_closed_before_the_answer_is_the_questions_to_judge(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async with LineServer(b"wel", ends=True) as server:
            return await steps_of(place(server.port))

    assert run(main())[-1].text == "closed after b'wel'"


def test_another_protocol_is_told_in_words(run: Callable[..., Any]) -> None:
    async def main() -> list[Finding]:
        async with LineServer(b"broken\n") as server:
            return await steps_of(place(server.port))

    finding = run(main())[-1]
    assert finding.verdict is Verdict.FAILED
    assert finding.text == "the line is broken"
    assert finding.advice == "Check that port and vendor in the settings belong together."
