"""The listener for web hooks behind TLS, over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from hooking import PBX, Hooked, JsonParser, free_port, raw, utc_now

from recmon.errors import ListenerFailed
from recmon.net.listener import Listener
from recmon.services.hooks import HookedServer
from recmon.services.statuses import LinkState
from recmon.settings.model import ListenerSettings, ListenerTls

Run = Callable[..., Any]
NO_HANDSHAKE = "Error on transport creation for incoming connection"
"""Said by asyncio where it is told to look for mistakes, as in tests."""


@pytest.fixture
def settings(tmp_path: Path) -> ListenerSettings:
    leaf = trustme.CA().issue_cert("127.0.0.1")
    certificate, key = tmp_path / "hooks.pem", tmp_path / "hooks-key.pem"
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)
    return ListenerSettings(port=free_port(), tls=ListenerTls(str(certificate), str(key)))


@pytest.mark.expects_log(NO_HANDSHAKE)
def test_a_hook_arrives_over_tls_and_not_in_clear_text(
    run: Run, tmp_path: Path, settings: ListenerSettings
) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path / "data", listener=settings, port=settings.port) as hooked:
            await hooked.until_live()
            address = hooked.hooks.address(PBX, shows_secret=False)
            assert address is not None
            assert address.startswith(f"https://127.0.0.1:{settings.port}/hooks/")
            test = await hooked.hooks.send_test(PBX)
            assert (test.is_well, test.sentence) == (
                True,
                "A test hook arrived through the address, secret included.",
            )
            assert b"HTTP/" not in await raw(settings.port, b"GET /hooks HTTP/1.1\r\nHost: x\r\n\r\n")

    (tmp_path / "data").mkdir()
    run(scenario())


@pytest.mark.expects_log(NO_HANDSHAKE)
def test_a_connection_without_a_handshake_is_closed(
    run: Run, tmp_path: Path, settings: ListenerSettings
) -> None:
    async def scenario() -> None:
        async with (
            Hooked(tmp_path) as hooked,
            Listener(settings, hooked.hooks.intake, utc_now, head_deadline_s=0.3),
        ):
            # The runner's deadline ends the test where the connection stays open.
            assert await raw(settings.port, b"") == b""

    run(scenario())


@pytest.mark.expects_log("are not a PEM certificate")
def test_a_file_that_is_no_certificate_is_named(run: Run, tmp_path: Path, settings: ListenerSettings) -> None:
    wrong = replace(settings, tls=ListenerTls(settings.tls.key, settings.tls.certificate))

    async def scenario() -> None:
        async with Hooked(tmp_path, listener=wrong, port=wrong.port) as hooked:
            await hooked.until(lambda: hooked.monitor.status(PBX).state is LinkState.FAILED)
            error = hooked.monitor.status(PBX).error
            assert isinstance(error, ListenerFailed)
            assert settings.tls.key in str(error)
            given = [HookedServer(PBX, JsonParser)]
            assert await hooked.hooks.follow(given, settings) == ()
            await hooked.until_live()

    run(scenario())
