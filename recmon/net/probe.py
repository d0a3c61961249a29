"""Finds out step by step what answers at an address: name, TCP, TLS, first bytes, one question.

Knows no vendor: a question's words and the reading of its answer are the vendor's.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import socket
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from recmon.domain.checks import Finding, Verdict
from recmon.errors import ProtocolError, SettingsError
from recmon.logs import mask, printable
from recmon.net.names import Lookup, addresses_of, system_lookup
from recmon.net.stream import IncomingBytes
from recmon.net.tls import client_context, tls_failure
from recmon.protocol.peers import OtherPeer, other_peer
from recmon.settings.model import TlsOptions
from recmon.vendors.base import CheckedPlace, Now, StreamQuestion

SLICE_SIZE = 8 * 1024
_EXCERPT_BYTES = 60
_EXPIRES_SOON_DAYS = 30

_TLS_WANTED = Finding(
    Verdict.FAILED, "the server speaks TLS on this port, and closes clear text", "Set tls for this server."
)

_OWN_PROTOCOL = (b"<?XML", b"<VERBA")
"""How documents of an XML interface begin, in capitals."""


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """Deadlines of the steps.

    Attributes:
        name_s: for the name's addresses.
        connect_s: for the TCP connection, over all addresses.
        tls_s: for the TLS handshake.
        quiet_s: how long is listened before anything is said.
        answer_s: for the answer to a question.
    """

    name_s: float = 5.0
    connect_s: float = 5.0
    tls_s: float = 5.0
    quiet_s: float = 0.5
    answer_s: float = 10.0


class Probe:
    """One connection, made step by step; call the steps in their order, as long as none failed, and close.

    Args:
        server: name of the server in the settings.
        place: where it is.
        now: the clock, aware UTC.
        limits: deadlines.
        lookup: finds the addresses of a name; runs in a thread.
    """

    def __init__(
        self,
        server: str,
        place: CheckedPlace,
        *,
        now: Now,
        limits: ProbeLimits | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._server = server
        self._place = place
        self._now = now
        self._limits = limits or ProbeLimits()
        self._lookup = lookup
        self._addresses: list[str] = []
        self._socket: socket.socket | None = None
        self._transport: asyncio.Transport | None = None
        self._stream: IncomingBytes | None = None
        self._heard = b""

    def close(self) -> None:
        """Drop the connection. Safe to call at any step, and twice."""
        if self._stream is not None:
            self._stream.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def look_up(self) -> Finding:
        """Find the addresses of the name."""
        host = self._place.host
        advice = "Check the host in the settings, and whether this computer's name service knows it."
        try:
            async with asyncio.timeout(self._limits.name_s):
                self._addresses = await addresses_of(host, self._place.port, self._lookup)
        except TimeoutError:
            waited = f"within {self._limits.name_s:g} s"
            return Finding(Verdict.FAILED, f"the name service did not answer for {host} {waited}", advice)
        except OSError as error:
            return Finding(Verdict.FAILED, f"the name {host} was not found ({_words(error)})", advice)
        if not self._addresses:
            return Finding(Verdict.FAILED, f"the name {host} has no address", advice)
        if _is_address(host):
            return Finding(Verdict.OK, f"{host} is an address")
        return Finding(Verdict.OK, f"{host} is {', '.join(self._addresses[:4])}")

    async def connect(self) -> Finding:
        """Connect to the first address that answers; each gets its share of the time that is left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.connect_s
        finding = Finding(Verdict.FAILED, "the name has no address")
        for index, address in enumerate(self._addresses):
            share_s = (deadline - loop.time()) / (len(self._addresses) - index)
            finding = await self._connect_to(address, max(share_s, 0.0))
            if finding.verdict is Verdict.OK:
                break
        return finding

    async def secure(self) -> Finding:
        """Do the TLS handshake, with all its checks; or nothing, where the settings say clear text."""
        tls = self._place.tls
        if tls is None:
            await self._open(None)
            return Finding(Verdict.SKIPPED, "not used: clear text, as the settings say")
        try:
            async with asyncio.timeout(self._limits.tls_s):
                context = await asyncio.to_thread(client_context, tls)
                await self._open(context)
        except SettingsError as error:
            return Finding(Verdict.FAILED, "; ".join(error.problems), "Correct this in the settings.")
        except ssl.SSLError as error:
            return self._refused(error)
        except TimeoutError:
            return Finding(
                Verdict.FAILED,
                f"no answer to the TLS handshake within {self._limits.tls_s:g} s",
                "Perhaps this port speaks clear text, and waits: check port and tls in the settings.",
            )
        except OSError as error:
            return Finding(
                Verdict.FAILED,
                f"the server closed the connection in the TLS handshake ({_words(error)})",
                "Perhaps this port does not speak TLS: check port and tls in the settings.",
            )
        return self._certificate(tls, self._transport)

    async def listen(self) -> Finding:
        """Wait a moment for what the server says unasked; what it said is handed to the first question."""
        stream = self._opened()
        until = asyncio.get_running_loop().time() + self._limits.quiet_s
        await stream.wait(until)
        self._heard = stream.take(SLICE_SIZE)
        if not self._heard:
            if stream.has_ended:
                return Finding(
                    Verdict.FAILED,
                    "the server closed the connection at once",
                    "Perhaps it takes connections from other addresses only, or from fewer programs at a "
                    "time, or expects TLS here.",
                )
            return Finding(Verdict.OK, "the server waits for a question, as is usual")
        other = other_peer(self._heard)
        if other is not None:
            return _other(other)
        excerpt = _excerpt(self._heard)
        if self._heard.lstrip(b"\xef\xbb\xbf\0 \t\r\n").upper().startswith(_OWN_PROTOCOL):
            return Finding(Verdict.OK, f"XML arrived unasked: {excerpt}")
        return Finding(
            Verdict.NOTE,
            f"bytes arrived unasked that are not known here: {excerpt}",
            "This may be another kind of server: check the port in the settings.",
        )

    async def ask(self, question: StreamQuestion) -> Finding:
        """Send a question, and wait for what its answer tells."""
        stream = self._opened()
        deadline = asyncio.get_running_loop().time() + self._limits.answer_s
        stream.send(question.request)
        clock = asyncio.get_running_loop().time
        data, self._heard = self._heard, b""
        has_heard = False
        try:
            while True:
                has_heard = has_heard or bool(data)
                if data and (finding := question.receive_data(data, self._now())) is not None:
                    return finding
                if clock() >= deadline:
                    return question.no_answer(self._limits.answer_s)
                if stream.is_empty:
                    if isinstance(stream.error, ssl.SSLError):
                        return self._refused(stream.error)
                    if stream.has_ended:
                        if not has_heard and await self._is_tls_wanted():
                            return _TLS_WANTED
                        return question.receive_eof(self._now())
                    await stream.wait(deadline)
                else:
                    # A flood that holds no answer must not keep the loop from its other duties.
                    await asyncio.sleep(0)
                data = stream.take(SLICE_SIZE)
        except ProtocolError as error:
            advice = "Check that port and vendor in the settings belong together."
            return Finding(Verdict.FAILED, printable(error.detail), advice)

    async def _connect_to(self, address: str, share_s: float) -> Finding:
        where = f"[{address}]:{self._place.port}" if ":" in address else f"{address}:{self._place.port}"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        loop = asyncio.get_running_loop()
        trial = socket.socket(family, socket.SOCK_STREAM)
        try:
            trial.setblocking(False)
            async with asyncio.timeout(share_s):
                await loop.sock_connect(trial, (address, self._place.port))
        except TimeoutError:
            trial.close()
            return Finding(
                Verdict.FAILED,
                f"{where} did not answer within {share_s:.3g} s",
                "Perhaps a firewall in between drops the connection, or the server is off: "
                "check the address, the port and the network.",
            )
        except ConnectionRefusedError:
            trial.close()
            return Finding(
                Verdict.FAILED,
                f"nothing listens on {where} (connection refused)",
                "Check the port in the settings, and whether the service runs.",
            )
        except OSError as error:
            trial.close()
            return Finding(
                Verdict.FAILED,
                f"no connection to {where} ({_words(error)})",
                "Check the address and this computer's network.",
            )
        except BaseException:
            trial.close()
            raise
        self._socket = trial
        return Finding(Verdict.OK, f"{where} takes connections")

    async def _is_tls_wanted(self) -> bool:
        """Find out whether a server that answers clear text by closing does so because it speaks TLS."""
        if self._place.tls is not None:
            return False
        other = Probe(
            self._server,
            replace(self._place, tls=TlsOptions()),
            now=self._now,
            limits=self._limits,
            lookup=self._lookup,
        )
        try:
            await other.look_up()
            if (await other.connect()).verdict is not Verdict.OK:
                return False
            async with asyncio.timeout(self._limits.tls_s):
                await other._open(await asyncio.to_thread(client_context, TlsOptions()))
        except ssl.SSLCertVerificationError:
            return True  # it showed a certificate, which is not to be judged here
        except OSError:
            return False
        finally:
            other.close()
        return True

    async def _open(self, context: ssl.SSLContext | None) -> None:
        if self._socket is None:
            raise RuntimeError("connect comes first")
        connection, self._socket = self._socket, None
        self._transport, self._stream = await asyncio.get_running_loop().create_connection(
            IncomingBytes,
            sock=connection,
            ssl=context,
            server_hostname=self._place.host if context else None,
        )

    def _opened(self) -> IncomingBytes:
        if self._stream is None:
            raise RuntimeError("secure comes first")
        return self._stream

    # TLS in words

    def _refused(self, error: ssl.SSLError) -> Finding:
        failure = tls_failure(self._server, error)
        if "does not speak TLS" in failure.detail:
            advice = "Is this the clear-text port? Check port and tls in the settings."
        elif isinstance(error, ssl.SSLCertVerificationError):
            advice = (
                "Name the authority that signed it (ca_file), or the certificate's own fingerprint as the "
                "server's administrator tells it (fingerprint)."
            )
            if "date of this computer" in failure.detail or "expired" in failure.detail:
                advice = "Ask the server's administrator for a new certificate; check this computer's date."
            elif "another host name" in failure.detail or "another address" in failure.detail:
                advice = "Use the name that the certificate is for as host in the settings."
        else:
            advice = "Check port and tls in the settings; the server's log may tell more."
        return Finding(Verdict.FAILED, failure.detail, advice)

    def _certificate(self, tls: TlsOptions, transport: asyncio.Transport | None) -> Finding:
        if transport is None:
            raise RuntimeError("there is no connection")
        ssl_object = transport.get_extra_info("ssl_object")
        version = ssl_object.version()
        digest = hashlib.sha256(ssl_object.getpeercert(binary_form=True) or b"").hexdigest()
        facts = ssl_object.getpeercert() or {}
        by = "by the system's certificates"
        if tls.ca_file is not None:
            by = "by ca_file and fingerprint" if tls.fingerprint is not None else "by ca_file"
        elif tls.fingerprint is not None:
            return Finding(Verdict.OK, f"{version}; the certificate is the pinned one, sha256:{digest}")
        text = f"{version}; the certificate was accepted {by}"
        ends = facts.get("notAfter")
        if not isinstance(ends, str):
            return Finding(Verdict.OK, text)
        end = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)
        text += f", valid until {end:%Y-%m-%d}"
        if (end - self._now()).days < _EXPIRES_SOON_DAYS:
            return Finding(
                Verdict.NOTE,
                f"{text}, which is soon",
                "Ask the server's administrator for a new certificate.",
            )
        return Finding(Verdict.OK, text)


def _other(peer: OtherPeer) -> Finding:
    advice = peer.advice[:1].upper() + peer.advice[1:]
    return Finding(Verdict.FAILED, peer.text, advice if advice.endswith("?") else f"{advice}.")


def _excerpt(data: bytes) -> str:
    return mask(printable(data[:_EXCERPT_BYTES].decode("utf-8", "backslashreplace")))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(str(text))
