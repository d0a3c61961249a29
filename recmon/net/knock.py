"""A request of our own to the address that a provider is given: does it lead here?"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from recmon.logs import printable
from recmon.net.listener import SERVER_NAME

DEADLINE_S = 10.0
_LONGEST_ANSWER = 4_096


@dataclass(frozen=True, slots=True)
class Knock:
    """What came of it.

    Attributes:
        is_well: whether the answer is ours.
        sentence: the verdict, in plain words without the address.
    """

    is_well: bool
    sentence: str


async def knock(url: str, expected: str, certificate: str | None = None) -> Knock:
    """Send a request, and tell whether the expected answer comes back.

    Args:
        url: the full address.
        expected: the answer's body.
        certificate: PEM file of the certificate that our own listener shows; accepted besides the system's.
    """
    answer = await _ask(url, certificate)
    if isinstance(answer, Knock):
        return answer
    status, body, _ = answer
    if status == 200 and body == expected.encode():
        return Knock(True, "A test hook arrived through the address, secret included.")
    if status == 200:
        return Knock(False, "Something else answered at the address. Is public_url right?")
    return Knock(False, f"The address answered with status {status}; the request did not arrive here.")


async def find_listener(origin: str, certificate: str | None = None) -> Knock:
    """Tell whether a listener of this program, run by whomever, answers at an address.

    Args:
        origin: scheme, host and port.
        certificate: see `knock`.
    """
    # Nobody's hook: it is counted nowhere.
    answer = await _ask(f"{origin}/hooks", certificate)
    if isinstance(answer, Knock):
        return answer
    status, _, headers = answer
    if status == 404 and headers.get("Server") == SERVER_NAME:
        return Knock(True, "recmon listens there.")
    return Knock(False, "Something else answered at the address. Is public_url right?")


async def _ask(url: str, certificate: str | None) -> tuple[int, bytes, Mapping[str, str]] | Knock:
    try:
        context = await asyncio.to_thread(_context, certificate)
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False) as session,
            session.post(url, data=b"", allow_redirects=False) as response,
        ):
            return response.status, await response.content.read(_LONGEST_ANSWER), response.headers
    except TimeoutError:
        return Knock(False, f"No answer within {DEADLINE_S:g} s. Does a firewall or proxy stand in between?")
    except aiohttp.ClientConnectorCertificateError as error:
        return Knock(False, f"The certificate was not accepted: {printable(str(error.certificate_error))}.")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Knock(False, f"The address cannot be reached: {printable(_reason(error))}.")


def _context(certificate: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate is not None:
        context.load_verify_locations(certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _reason(error: Exception) -> str:
    # The text of aiohttp's own errors holds the address, and the address holds the secret.
    cause = getattr(error, "os_error", None) or error
    return str(getattr(cause, "strerror", None) or type(cause).__name__)
