"""Certificates for simulated servers on this computer, made at run time and never stored with a key."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import trustme

IDENTITIES = ("localhost", "127.0.0.1", "::1")
"""The names a simulated server is reached by."""


class Certificate:
    """A server's certificate and the authority that signed it, both new.

    Args:
        identities: host names and addresses it is valid for.
    """

    def __init__(self, *identities: str) -> None:
        self._authority = trustme.CA(organization_name="recmon simulator")
        self._leaf = self._authority.issue_cert(*(identities or IDENTITIES))

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the hex digest of the server's certificate, as the settings want it."""
        certificate = ssl.PEM_cert_to_DER_cert(self._leaf.cert_chain_pems[0].bytes().decode("ascii"))
        return f"sha256:{hashlib.sha256(certificate).hexdigest()}"

    def write_ca(self, path: Path) -> None:
        """Write the authority's certificate as a PEM file."""
        self._authority.cert_pem.write_to_path(str(path))

    def server_context(self) -> ssl.SSLContext:
        """Return a context for a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._leaf.configure_cert(context)
        return context
