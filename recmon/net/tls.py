"""TLS for every client connection: which certificates are accepted, and refusals in words.

There is no way to connect without a check: by the system's certificates, a CA file or a pinned fingerprint.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl

from recmon.errors import SettingsError, TlsFailed
from recmon.settings.model import TlsOptions

_FINGERPRINT = re.compile(r"sha256:([0-9a-f]{64})")

# OpenSSL's verdicts (x509_vfy.h) that a user can act upon.
_VERDICTS = {
    9: "the certificate is not valid yet; check the date of this computer",
    10: "the certificate has expired",
    18: "the certificate is signed by itself and not known here",
    19: "the certificate is signed by an authority that is not known here",
    20: "the certificate is signed by an authority that is not known here",
    21: "the certificate is signed by an authority that is not known here",
    23: "the certificate was revoked",
    62: "the certificate is for another host name",
    64: "the certificate is for another address",
}

_REASONS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port",
    "HTTP_REQUEST": "the server does not speak TLS on this port",
    "UNSUPPORTED_PROTOCOL": "the server speaks only TLS versions that are no longer safe",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the server speaks only TLS versions that are no longer safe",
    "UNEXPECTED_EOF_WHILE_READING": "the server broke the TLS handshake off",
}


def client_context(tls: TlsOptions) -> ssl.SSLContext:
    """Return a context that accepts only what the options allow; TLS 1.2 or newer.

    A pinned certificate is compared within the handshake, so that no byte of a request leaves before.
    With both a CA file and a fingerprint, both must agree. Reads files, for tens of milliseconds.

    Raises:
        SettingsError: the CA file cannot be used, or the fingerprint has another form than `sha256:` and 64
            hex digits.
    """
    digest = fingerprint_digest(tls)
    try:
        context = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
    except ssl.SSLError as error:
        raise SettingsError((f"ca_file {tls.ca_file}: the file holds no PEM certificate",)) from error
    except OSError as error:
        raise SettingsError((f"ca_file {tls.ca_file}: {error.strerror or error}",)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Private sites hand out the file of an intermediate authority, or of the server itself: trust ends there.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if digest is not None:
        if tls.ca_file is None:
            # The comparison below is the check: the one certificate named is accepted, whoever signed it.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.sslobject_class = _pinned_object(tls)
    return context


def fingerprint_digest(tls: TlsOptions) -> bytes | None:
    """Return the pinned certificate's SHA-256, or None where none is pinned.

    Raises:
        SettingsError: the fingerprint has another form; colons and capitals are allowed.
    """
    if tls.fingerprint is None:
        return None
    scheme, _, digits = tls.fingerprint.strip().lower().partition(":")
    found = _FINGERPRINT.fullmatch(f"{scheme}:{digits.replace(':', '')}")
    if found is None:
        raise SettingsError(
            (f"fingerprint {tls.fingerprint!r}: write sha256: and the 64 hex digits of the certificate",)
        )
    return bytes.fromhex(found.group(1))


def check_fingerprint(ssl_object: ssl.SSLObject | ssl.SSLSocket, tls: TlsOptions) -> None:
    """Compare the peer's certificate with the pinned one, where one is pinned.

    `client_context` does so by itself within each handshake.

    Raises:
        ssl.SSLCertVerificationError: it is another one; `tls_failure` puts that in words.
    """
    digest = fingerprint_digest(tls)
    if digest is None:
        return
    certificate = ssl_object.getpeercert(binary_form=True) or b""
    shown = hashlib.sha256(certificate)
    if not hmac.compare_digest(shown.digest(), digest):
        raise ssl.SSLCertVerificationError(
            0, f"the certificate has another fingerprint than the settings: sha256:{shown.hexdigest()}"
        )


def tls_failure(server: str, error: ssl.SSLError) -> TlsFailed:
    """Put a failed handshake in words for people.

    Args:
        server: name of the server in the settings.
        error: what the ssl module reported.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        # Our own comparison leaves no OpenSSL verdict behind, only its sentence.
        verdict = getattr(error, "verify_code", None)
        if verdict is None:
            return TlsFailed(server, error.args[-1])
        known = _VERDICTS.get(verdict)
        return TlsFailed(server, known or f"the certificate was refused: {error.verify_message}")
    # Set by OpenSSL alone: an error that Python raises itself has none.
    reason = getattr(error, "reason", None) or type(error).__name__
    words = reason.replace("_", " ").lower()
    return TlsFailed(server, _REASONS.get(reason, f"the TLS handshake failed: {words}"))


def _pinned_object(tls: TlsOptions) -> type[ssl.SSLObject]:
    class PinnedObject(ssl.SSLObject):
        """A TLS connection whose handshake fails unless the peer shows the pinned certificate."""

        def do_handshake(self) -> None:
            super().do_handshake()
            check_fingerprint(self, tls)

    return PinnedObject
