"""Simulated telephony providers, and the program on them: hooks taken in and stored; recordings fetched."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from line_server import Seen

from recmon.app import Services, check_service, open_services, read_settings
from recmon.domain.calls import Call, CallState, ServerId
from recmon.domain.query import parse_query
from recmon.errors import AuthenticationFailed, RecordingMissing, RecordingNotReady
from recmon.paths import DataDir
from recmon.services.check import CheckService
from recmon.services.statuses import LinkState
from recmon.simulators.conversations import recording
from recmon.simulators.scenario import Scenario, ScriptedCall
from recmon.simulators.telephony import MEMBERS, Manner, Post, TelephonySimulator, arrange
from recmon.simulators.telephony_posts import PROVIDERS

Run = Callable[..., Any]

LENGTH_S = 21.0


class Clock:
    """The program's clock, which the test puts forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Site:
    services: Services
    provider: TelephonySimulator
    clock: Clock
    address: str

    async def tell(self, call: ScriptedCall, manner: Manner = Manner.PLAIN) -> None:
        await self.provider.tell(call, self.address, manner)

    async def until_live(self) -> None:
        """Wait until the program listens."""
        changed = Seen(self.services.monitor.status_changed)
        server = ServerId(self.provider.name)
        await changed.until(lambda _: self.services.monitor.status(server).state is LinkState.LIVE)

    async def calls(self) -> dict[str, Call]:
        """Return all calls by the extension of their operator, as they are stored."""
        page = await self.services.history.search(parse_query("", now=self.clock(), zone=UTC), limit=100)
        return {min((c.caller.number, c.callee.number), key=len): c for c in page.calls}


@asynccontextmanager
async def site(name: str, folder: Path) -> AsyncIterator[Site]:
    def keep(key: str, value: str) -> Path:
        file = folder / key
        file.touch(mode=0o600)
        file.write_text(value, encoding="utf-8")
        return file

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with TelephonySimulator(name, Scenario(1, (name,))) as provider:
        file = folder / "settings.toml"
        file.write_text(
            f"version = 1\n{provider.settings(keep)}\n[listener]\nport = {port}\n", encoding="utf-8"
        )
        clock = Clock()
        async with open_services(read_settings(file), DataDir(folder / "data"), now=clock) as services:
            address = f"http://127.0.0.1:{port}/hooks/{provider.name}/{provider.hook_secret}"
            async with provider.sender:
                yield Site(services, provider, clock, address)


def scripted(
    number: int, *, direction: str = "incoming", age_s: float = 60.0, cause_id: int = 0
) -> ScriptedCall:
    """Return a call that is over, with an operator of its own, so that its hooks are all due now."""
    outside, staff = f"+4930231250{number:02}", MEMBERS[number % len(MEMBERS)]
    operator = str(int(staff.number) + number // len(MEMBERS) * len(MEMBERS))
    ends = (outside, operator) if direction == "incoming" else (operator, outside)
    return ScriptedCall(
        server="x",
        native_id=str(70_000 + number),
        call_id=f"call-{number}",
        direction=direction,
        from_number=ends[0],
        from_name="",
        to_number=ends[1],
        to_name="",
        started_at=datetime.now(UTC) - timedelta(seconds=age_s),
        answer_after_s=3.0,
        duration_s=LENGTH_S,
        cause_id=cause_id,
        conversation="billing",
        codec="alaw",
        channels=2,
    )


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_manner_of_telling_gives_one_whole_call_and_its_recordings(
    name: str, run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with site(name, tmp_path) as here:
            told = {manner: scripted(number) for number, manner in enumerate(Manner)}
            outgoing = scripted(len(told), direction="outgoing")
            for manner, call in told.items():
                await here.tell(call, manner)
            await here.tell(outgoing)
            page = await here.services.history.search(parse_query("", now=here.clock(), zone=UTC), limit=100)
            assert len(page.calls) == len(told) + 1
            assert {call.state for call in page.calls} == {CallState.ENDED}
            recordings = [len(call.recordings) for call in page.calls]
            assert sorted(recordings) == [1] * len(told) + [2]
            assert all(call.cause is not None and call.cause.startswith("answered") for call in page.calls)
            here.clock.ahead = timedelta(minutes=2)
            wanted = {recording(call) for call in (*told.values(), outgoing)}
            fetched = set()
            for call in page.calls:
                for ref in call.recordings:
                    fetched.add((await here.services.downloads.open(ref).finished()).read_bytes())
            assert fetched == wanted
            assert here.provider.recordings.refused == 0
            assert {status for status, _ in here.provider.sender.answers} == {200}

    run(main(), deadline_s=60.0)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_call_that_nobody_took_has_its_cause_and_nothing_to_play(
    name: str, run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with site(name, tmp_path) as here:
            await here.tell(scripted(1, cause_id=5))
            (call,) = (await here.calls()).values()
            assert (call.state, call.recordings) == (CallState.ENDED, ())
            # Mango tells only that nobody talked.
            assert call.cause in ("cancelled", "cancelled (canceled)", "no answer (1110)")

    run(main())


@pytest.mark.parametrize("name", ["zadarma", "mango", "megafon", "generic"])
def test_members_are_shown_by_name(name: str, run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(name, tmp_path) as here:
            await here.tell(scripted(2))
            (call,) = (await here.calls()).values()
            assert (call.callee.number, call.callee.name) == (MEMBERS[2].number, MEMBERS[2].name)

    run(main())


def test_a_forged_hook_is_refused_and_nothing_of_it_is_stored(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with site("zadarma", tmp_path) as here:
            forged = b"event=NOTIFY_START&pbx_call_id=in_1&caller_id=1&called_did=2"
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Signature": "Zm9yZ2Vk"}
            status, body = await here.provider.sender.send(here.address, body=forged, headers=headers)
            assert (status, body) == (401, b"")
            assert await here.calls() == {}

    run(main())


def test_a_single_use_link_is_asked_for_anew_each_time(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with site("mango", tmp_path) as here:
            await here.tell(scripted(1))
            (call,) = (await here.calls()).values()
            (ref,) = call.recordings
            assert "http" not in ref.locator
            for _ in range(2):
                path = await here.services.downloads.open(ref).finished()
                path.unlink()
            asked = here.provider.recordings.requests
            assert [path.split("/")[1] for path in asked] == ["vpbx", "temporary"] * 2

    run(main())


def test_zadarma_is_not_asked_within_forty_seconds_of_the_notice(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with site("zadarma", tmp_path) as here:
            told = scripted(1)
            await here.tell(told)
            (call,) = (await here.calls()).values()
            with pytest.raises(RecordingNotReady) as caught:
                await here.services.downloads.open(call.recordings[0]).finished()
            assert 30 < (caught.value.retry_after_s or 0) <= 40
            assert here.provider.recordings.requests == []
            here.clock.ahead = timedelta(seconds=40)
            path = await here.services.downloads.open(call.recordings[0]).finished()
            assert path.read_bytes() == recording(told)

    run(main())


def test_the_keys_in_the_settings_are_checked_by_the_providers_own_interface(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        for name in ("zadarma", "mango", "twilio"):
            folder = tmp_path / name
            folder.mkdir()
            async with site(name, folder) as here:
                await here.tell(scripted(1))
                (call,) = (await here.calls()).values()
                here.clock.ahead = timedelta(minutes=2)
                await here.services.downloads.open(call.recordings[0]).finished()
                secret = {"zadarma": "api_secret", "mango": "api_salt", "twilio": "auth_token"}[name]
                here.provider.recordings.secrets[secret] = "other"
                (await here.services.downloads.open(call.recordings[0]).finished()).unlink()
                with pytest.raises(AuthenticationFailed):
                    await here.services.downloads.open(call.recordings[0]).finished()
                assert here.provider.recordings.refused == 1

    run(main(), deadline_s=60.0)


def test_a_recording_that_is_gone_has_its_reason(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with site("megafon", tmp_path) as here:
            await here.tell(scripted(1))
            here.provider.recordings.forget_all()
            (call,) = (await here.calls()).values()
            with pytest.raises(RecordingMissing, match="no longer has the recording"):
                await here.services.downloads.open(call.recordings[0]).finished()

    run(main())


async def checked(service: CheckService, name: str) -> dict[str, tuple[str, str]]:
    """Return verdict and text of each step."""
    async with aclosing(service.check(ServerId(name))) as steps:
        return {step.name: (step.finding.verdict.value, step.finding.text) async for step in steps}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("zadarma", "Zadarma accepts the key and lists 24 extensions"),
        ("mango", "Mango Office accepts the key and lists 24 users"),
        ("twilio", "Twilio accepts account_sid and auth_token"),
    ],
)
def test_a_check_asks_the_provider_and_looks_for_the_listener(
    name: str, said: str, run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with site(name, tmp_path) as here:
            await here.until_live()
            steps = await checked(here.services.check, name)
            # The simulator speaks clear text, so there is no TLS to check.
            assert {step: verdict for step, (verdict, _) in steps.items()} == {
                "hooks": "ok",
                "listener": "ok",
                "name": "ok",
                "tcp": "ok",
                "tls": "skipped",
                "provider": "ok",
            }
            assert steps["listener"][1].startswith("recmon listens at http://127.0.0.1:")
            assert steps["provider"] == ("ok", said)
            here.provider.recordings.secrets.update(dict.fromkeys(here.provider.recordings.secrets, "other"))
            steps = await checked(here.services.check, name)
            assert steps["provider"][0] == "failed"
            assert "refuses" in steps["provider"][1]

    run(main())


@pytest.mark.parametrize("name", ["generic", "megafon"])
def test_a_check_of_a_provider_that_cannot_be_asked(name: str, run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(name, tmp_path) as here:
            await here.until_live()
            steps = await checked(here.services.check, name)
            assert {step: verdict for step, (verdict, _) in steps.items()} == {
                "hooks": "ok",
                "listener": "ok",
            }
            settings = here.services.settings
        # Nobody listens any more: worth knowing, and no fault of the settings.
        steps = await checked(check_service(settings), name)
        assert steps["listener"][0] == "note"
        (tmp_path / f"{name}-hook_secret").unlink()
        steps = await checked(check_service(settings), name)
        assert (steps["hooks"][0], steps["listener"][0]) == ("failed", "skipped")

    run(main())


@pytest.mark.parametrize("manner", list(Manner))
def test_arranging_loses_no_post(manner: Manner) -> None:
    posts = [Post(float(at_s), str(at_s).encode(), tells_recording=at_s == 9) for at_s in (0, 3, 8, 9)]
    sent = arrange(posts, manner)
    assert {post.body for post in sent} == {post.body for post in posts}
    assert len(sent) == (8 if manner is Manner.REPEATED else 4)
    assert [post.at_s for post in sent] == sorted(post.at_s for post in sent)
    if manner is Manner.SHUFFLED:
        assert [post.body for post in sent] == [b"3", b"0", b"9", b"8"]
    if manner is Manner.RECORDING_FIRST:
        assert [post.body for post in sent] == [b"0", b"3", b"9", b"8"]
