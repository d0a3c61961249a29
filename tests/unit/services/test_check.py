"""Checks of whole servers against the simulators, sound and with faults."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recmon.domain.calls import ServerId
from recmon.domain.checks import CheckStep, Verdict
from recmon.errors import SecretMissing, SettingsError
from recmon.net.probe import ProbeLimits
from recmon.services.check import CheckLimits, CheckService
from recmon.settings.model import Secret, SecretRef, ServerSettings, Settings, TlsOptions
from recmon.simulators.ccfs import CcfsFaults, CcfsSimulator
from recmon.simulators.certificates import Certificate
from recmon.simulators.verba import VerbaFaults, VerbaSimulator
from recmon.simulators.verba_http import Account, VerbaHttpFaults, VerbaHttpSimulator
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.huawei_ccfs.options import CcfsOptions, CmsOptions
from recmon.vendors.registry import ADAPTERS
from recmon.vendors.verba.options import EventsOptions, HttpOptions, VerbaOptions

EAST = ServerId("east")
QUICK = CheckLimits(ProbeLimits(tls_s=0.3, quiet_s=0.05, answer_s=0.3), http_s=10.0)
PATIENT = CheckLimits(ProbeLimits(quiet_s=0.05))
SECRETS = {"SECRET": "s3cret", "WRONG": "wr0ng", "KEY": "k-1", "PASSWORD": "pass"}
STORED = "Y:/3rdfile/7/thirdvoicebotfile/a.wav"


def utc_now() -> datetime:
    return datetime.now(UTC)


def reveal(ref: SecretRef) -> Secret:
    if ref.name not in SECRETS:
        raise SecretMissing((f"the variable {ref.name} is not set",))
    return Secret(SECRETS[ref.name])


def service_for(options: Any, vendor: str = "verba", limits: CheckLimits = PATIENT) -> CheckService:
    settings = Settings((ServerSettings(EAST, vendor, options),))
    return CheckService(settings, ADAPTERS, reveal, now=utc_now, limits=limits)


async def check(service: CheckService, path: str | None = None) -> dict[str, CheckStep]:
    async with aclosing(service.check(EAST, path)) as steps:
        return {step.name: step async for step in steps}


def verdicts(steps: dict[str, CheckStep]) -> dict[str, str]:
    return {name: step.finding.verdict.value for name, step in steps.items()}


def events(port: int, **more: Any) -> VerbaOptions:
    return VerbaOptions(EventsOptions("127.0.0.1", port, **more))


def check_recorder(
    run: Callable[..., Any], faults: VerbaFaults, limits: CheckLimits = PATIENT, **more: Any
) -> dict[str, CheckStep]:
    async def main() -> dict[str, CheckStep]:
        async with VerbaSimulator(faults=faults) as simulator:
            steps = await check(service_for(events(simulator.port, **more), limits=limits))
            # Nothing is left behind on the server.
            await simulator.wait_for_connections(0)
            return steps

    return run(main())


# The recorder API


def test_a_sound_recorder_passes(run: Callable[..., Any]) -> None:
    steps = check_recorder(run, VerbaFaults(), extensions=("4410", "4411"))
    assert verdicts(steps) == {
        "name": "ok",
        "tcp": "ok",
        "tls": "skipped",
        "first bytes": "ok",
        "probe": "ok",
        "subscribe": "ok",
    }
    assert steps["probe"].finding.text == "GetManagementSummary was answered with code 0"
    told = "subscribed to the calls of 2 numbers; a keep-alive is announced every 10 s"
    assert steps["subscribe"].finding.text == told
    assert all(step.took_ms >= 0 and step.server == EAST for step in steps.values())
    assert steps["first bytes"].took_ms >= 40


def test_each_request_is_sent_once(run: Callable[..., Any]) -> None:
    async def main() -> tuple[list[bytes], int]:
        async with VerbaSimulator() as simulator:
            await check(service_for(events(simulator.port)))
            return simulator.received, simulator.accepted

    received, accepted = run(main())
    assert [b"GetManagementSummary" in request for request in received] == [True, False]
    assert b"SubscribeOnCallEvent" in received[1]
    assert accepted == 2


def test_a_recorder_without_keepalives_is_noted(run: Callable[..., Any]) -> None:
    steps = check_recorder(run, VerbaFaults(announces_keepalive=False))
    finding = steps["subscribe"].finding
    assert finding.verdict is Verdict.NOTE
    assert (
        finding.text == "subscribed to all calls; not supervised, because the server announces no keep-alive"
    )
    assert finding.advice


def test_a_refused_subscription_shows_the_servers_words(run: Callable[..., Any]) -> None:
    finding = check_recorder(run, VerbaFaults(refuse_code="7", refuse_text="No licence"))["subscribe"].finding
    assert finding.verdict is Verdict.FAILED
    assert "code 7" in finding.text
    assert "No licence" in finding.text
    assert "administrator" in finding.advice


def test_a_silent_server_fails_at_the_subscription(run: Callable[..., Any]) -> None:
    steps = check_recorder(run, VerbaFaults(is_silent=True), QUICK)
    # Silence on the probe decides nothing: a service may leave that request out.
    assert steps["probe"].finding.verdict is Verdict.NOTE
    assert steps["probe"].finding.text == "no answer to GetManagementSummary within 0.3 s"
    finding = steps["subscribe"].finding
    assert finding.verdict is Verdict.FAILED
    assert finding.text == "no answer to the subscription within 0.3 s"
    for hint in ("another port", "does not offer this interface", "request_terminator"):
        assert hint in finding.advice


def test_a_server_that_closes_after_one_answer_passes(run: Callable[..., Any]) -> None:
    steps = check_recorder(run, VerbaFaults(close_after_answer=True))
    assert steps["subscribe"].finding.verdict is Verdict.OK


def test_a_server_that_closes_at_once_fails(run: Callable[..., Any]) -> None:
    steps = check_recorder(run, VerbaFaults(close_after_accept=True), CheckLimits())
    assert verdicts(steps) == {
        "name": "ok",
        "tcp": "ok",
        "tls": "skipped",
        "first bytes": "failed",
        "probe": "skipped",
        "subscribe": "skipped",
    }
    assert steps["probe"].finding.text == "not reached"


def test_a_web_server_is_recognised_by_its_answer(run: Callable[..., Any]) -> None:
    async def main() -> dict[str, CheckStep]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"</VerbaApi>")
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            return await check(service_for(events(server.sockets[0].getsockname()[1])))

    steps = run(main())
    finding = steps["probe"].finding
    assert finding.verdict is Verdict.FAILED
    assert finding.text == "HTTP answered on this port"
    assert finding.advice == "Is this the web interface?"
    assert steps["subscribe"].finding.verdict is Verdict.SKIPPED


def test_a_server_that_answers_nonsense_is_told(run: Callable[..., Any]) -> None:
    steps = check_recorder(run, VerbaFaults(answer_with=b"\x01\x02nonsense\n" * 600))
    assert steps["first bytes"].finding.verdict is Verdict.NOTE
    finding = steps["subscribe"].finding
    assert finding.verdict is Verdict.FAILED
    assert "is this a recording server?" in finding.text


def test_clear_text_set_for_a_tls_port_is_told(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> dict[str, CheckStep]:
        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # What TLS libraries send to a peer that begins with something else.
            await reader.read(1)
            writer.write(b"\x15\x03\x01\x00\x02\x02\x46")
            writer.close()

        async with await asyncio.start_server(keep, "127.0.0.1", 0) as server:
            return await check(service_for(events(server.sockets[0].getsockname()[1])))

    finding = run(main())["probe"].finding
    assert finding.text == "TLS answered on this port"
    assert finding.advice == "Set tls for this server."


def test_tls_set_for_a_clear_text_port_is_told(run: Callable[..., Any]) -> None:
    steps = check_recorder(run, VerbaFaults(), QUICK, tls=TlsOptions())
    assert steps["tls"].finding.verdict is Verdict.FAILED
    assert "clear text" in steps["tls"].finding.advice
    assert steps["subscribe"].finding.verdict is Verdict.SKIPPED


def test_a_refused_connection_skips_the_rest(run: Callable[..., Any]) -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    steps = run(check(service_for(events(port))))
    assert verdicts(steps) == {
        "name": "ok",
        "tcp": "failed",
        "tls": "skipped",
        "first bytes": "skipped",
        "probe": "skipped",
        "subscribe": "skipped",
    }


def test_a_server_gone_between_two_questions_is_told(run: Callable[..., Any]) -> None:
    async def main() -> dict[str, CheckStep]:
        async with (
            VerbaSimulator() as simulator,
            aclosing(service_for(events(simulator.port)).check(EAST)) as steps,
        ):
            seen = {}
            async for step in steps:
                seen[step.name] = step
                if step.name == "probe":
                    await simulator.__aexit__(None, None, None)
            return seen

    finding = run(main())["subscribe"].finding
    assert finding.verdict is Verdict.FAILED
    assert finding.text.startswith("no second connection for this: nothing listens on")


def test_an_abandoned_check_leaves_no_connection(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with VerbaSimulator() as simulator:
            service = service_for(events(simulator.port))
            async with aclosing(service.check(EAST)) as steps:
                async for step in steps:
                    if step.name == "first bytes":
                        break
            await simulator.wait_for_connections(0)

    run(main())


# CC-FS


def check_archive(
    run: Callable[..., Any],
    tmp_path: Path,
    faults: CcfsFaults,
    *,
    secret: str = "SECRET",
    path: str | None = None,
    times: int = 1,
    agent_ids: tuple[str, ...] | None = None,
) -> tuple[dict[str, CheckStep], int]:
    certificate = Certificate()
    certificate.write_ca(tmp_path / "ca.pem")

    async def main() -> tuple[dict[str, CheckStep], int]:
        async with CcfsSimulator(
            certificate,
            "demo-ak",
            "s3cret",
            find=lambda name: b"RIFF\x24\0\0\0WAVEfmt " + bytes(40) if name == STORED else None,
            list_folder=lambda name: (),
            faults=faults,
        ) as simulator:
            options = CcfsOptions(
                simulator.url,
                "demo-ak",
                SecretRef("env", secret),
                ca_file=tmp_path / "ca.pem",
                cms=None if agent_ids is None else CmsOptions(simulator.url, agent_ids=agent_ids),
            )
            service = service_for(options, "huawei_ccfs")
            for _ in range(times):
                steps = await check(service, path)
            return steps, simulator.request_count

    return run(main())


def test_a_sound_archive_passes_with_one_request(run: Callable[..., Any], tmp_path: Path) -> None:
    steps, requests = check_archive(run, tmp_path, CcfsFaults())
    assert verdicts(steps) == {"name": "ok", "tcp": "ok", "tls": "ok", "signature": "ok"}
    told = "the key was accepted; there is no such file, as intended (code 0300011)"
    assert steps["signature"].finding.text == told
    assert requests == 1


def test_the_sister_service_gets_one_question_of_its_own(run: Callable[..., Any], tmp_path: Path) -> None:
    steps, requests = check_archive(run, tmp_path, CcfsFaults(), agent_ids=("501",))
    assert steps["cms calls"].finding.text == "the agents were found; 0 of their calls go on"
    assert requests == 2
    steps, requests = check_archive(run, tmp_path, CcfsFaults(), agent_ids=())
    assert requests == 1
    steps, requests = check_archive(run, tmp_path, CcfsFaults(), secret="WRONG", agent_ids=("501",))
    assert steps["cms calls"].finding.verdict is Verdict.SKIPPED
    assert requests == 1


def test_a_recording_can_be_asked_for(run: Callable[..., Any], tmp_path: Path) -> None:
    steps, _ = check_archive(run, tmp_path, CcfsFaults(), path=STORED)
    assert steps["signature"].finding.text == "the key was accepted, and the recording is there"
    steps, _ = check_archive(run, tmp_path, CcfsFaults(), path="Y:/other.wav")
    assert steps["signature"].finding.verdict is Verdict.NOTE
    assert "Check the path" in steps["signature"].finding.advice


def test_a_wrong_key_is_told_after_one_request(run: Callable[..., Any], tmp_path: Path) -> None:
    steps, requests = check_archive(run, tmp_path, CcfsFaults(), secret="WRONG")
    finding = steps["signature"].finding
    assert finding.verdict is Verdict.FAILED
    assert "401" in finding.text
    assert "its clock agrees with this computer's" in finding.text
    assert "access_key and secret_key" in finding.advice
    assert "lock" in finding.advice
    assert requests == 1


@pytest.mark.parametrize(("offset_s", "words"), [(540, "9 min ahead of"), (-7200, "120 min behind")])
def test_a_clock_that_differs_is_told_in_words(
    run: Callable[..., Any], tmp_path: Path, offset_s: float, words: str
) -> None:
    steps, _ = check_archive(run, tmp_path, CcfsFaults(clock_offset_s=offset_s))
    finding = steps["signature"].finding
    assert finding.verdict is Verdict.FAILED
    assert f"its clock is {words} this computer's" in finding.text
    assert "Set the clock" in finding.advice


def test_a_locked_address_says_to_wait(run: Callable[..., Any], tmp_path: Path) -> None:
    steps, requests = check_archive(run, tmp_path, CcfsFaults(lock_after=1), secret="WRONG", times=2)
    finding = steps["signature"].finding
    assert "locked" in finding.text
    assert "15 minutes" in finding.text
    assert finding.advice.startswith("Wait")
    assert requests == 2


@pytest.mark.parametrize(
    ("faults", "verdict", "text"),
    [
        (CcfsFaults(result_code="0300004"), Verdict.NOTE, "the key was accepted, but "),
        (CcfsFaults(postpone=1), Verdict.NOTE, "the key was accepted, but the server limits downloads"),
        (CcfsFaults(page_status=404), Verdict.FAILED, "the server does not offer downloads at this address"),
        (CcfsFaults(page_status=502), Verdict.FAILED, "the server, or one in front of it, failed"),
        (CcfsFaults(page_status=418), Verdict.FAILED, "the server asks to come back later"),
        (CcfsFaults(page_status=200), Verdict.FAILED, "a web page came instead of a recording"),
    ],
)
def test_other_answers_are_judged(
    run: Callable[..., Any], tmp_path: Path, faults: CcfsFaults, verdict: Verdict, text: str
) -> None:
    steps, requests = check_archive(run, tmp_path, faults)
    finding = steps["signature"].finding
    assert finding.verdict is verdict
    assert finding.text.startswith(text)
    assert requests == 1


def test_a_missing_secret_fails_after_tls(run: Callable[..., Any], tmp_path: Path) -> None:
    steps, requests = check_archive(run, tmp_path, CcfsFaults(), secret="ABSENT")
    assert steps["tls"].finding.verdict is Verdict.OK
    assert steps["signature"].finding.text == "the variable ABSENT is not set"
    assert steps["signature"].finding.advice == "Store it there, or correct the settings."
    assert requests == 0


# The HTTP Business API


def check_http(
    run: Callable[..., Any], faults: VerbaHttpFaults, password: str = "PASSWORD"
) -> dict[str, CheckStep]:
    async def main() -> dict[str, CheckStep]:
        account = Account("k-1", "supervisor", "pass")
        async with VerbaHttpSimulator(account, lambda: (), faults=faults) as simulator:
            options = HttpOptions(
                simulator.url, SecretRef("env", "KEY"), "supervisor", SecretRef("env", password)
            )
            return await check(service_for(VerbaOptions(http=options)))

    return run(main())


def test_a_login_over_clear_text_http_is_noted(run: Callable[..., Any]) -> None:
    steps = check_http(run, VerbaHttpFaults())
    assert verdicts(steps) == {
        "http name": "ok",
        "http tcp": "ok",
        "http tls": "skipped",
        "http login": "note",
    }
    finding = steps["http login"].finding
    assert finding.text.startswith(
        "login and API key were accepted; a search of the last minute was answered"
    )
    assert "https" in finding.advice


@pytest.mark.parametrize("faults", [VerbaHttpFaults(), VerbaHttpFaults(login_status=401)])
def test_a_refused_login_is_told_without_secrets(run: Callable[..., Any], faults: VerbaHttpFaults) -> None:
    finding = check_http(run, faults, "WRONG")["http login"].finding
    assert finding.verdict is Verdict.FAILED
    assert "password" in finding.advice
    assert not any(secret in finding.text + finding.advice for secret in ("k-1", "wr0ng"))


@pytest.mark.parametrize(
    "faults",
    [VerbaHttpFaults(page_status=200), VerbaHttpFaults(missing_actions=frozenset({"SearchCalls"}))],
)
def test_an_api_that_does_not_answer_points_to_the_path(
    run: Callable[..., Any], faults: VerbaHttpFaults
) -> None:
    finding = check_http(run, faults)["http login"].finding
    assert finding.verdict is Verdict.FAILED
    assert "path in url" in finding.advice


def test_both_interfaces_are_checked_in_order(run: Callable[..., Any]) -> None:
    async def main() -> list[str]:
        account = Account("k-1", "supervisor", "pass")
        async with (
            VerbaSimulator() as recorder,
            VerbaHttpSimulator(account, lambda: ()) as web,
        ):
            options = VerbaOptions(
                EventsOptions("127.0.0.1", recorder.port),
                HttpOptions(web.url, SecretRef("env", "KEY"), "supervisor", SecretRef("env", "PASSWORD")),
            )
            return list(await check(service_for(options)))

    names = run(main())
    assert names[5:] == ["subscribe", "http name", "http tcp", "http tls", "http login"]


# Settings


def test_secret_of_the_address_of_a_server_that_calls_us_is_looked_up(run: Callable[..., Any]) -> None:
    steps = run(check(service_for(AculabOptions(hook_secret=SecretRef("env", "SECRET")), "aculab")))
    assert steps["hooks"].finding.verdict is Verdict.OK
    assert "/hooks/east/ and the secret" in steps["hooks"].finding.text
    assert SECRETS["SECRET"] not in steps["hooks"].finding.text
    missing = run(check(service_for(AculabOptions(hook_secret=SecretRef("env", "GONE")), "aculab")))
    assert verdicts(missing) == {"hooks": "failed", "listener": "skipped"}
    assert "the variable GONE is not set" in missing["hooks"].finding.text


def test_a_server_without_addresses_has_nothing_to_check(run: Callable[..., Any]) -> None:
    steps = run(check(service_for(VerbaOptions())))
    assert verdicts(steps) == {"settings": "note"}


def test_an_unknown_server_is_a_settings_error(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with aclosing(service_for(VerbaOptions()).check(ServerId("nobody"))) as steps:
            async for _ in steps:
                pass

    with pytest.raises(SettingsError, match="known are: east"):
        run(main())
