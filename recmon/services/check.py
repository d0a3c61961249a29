"""Checks a server step by step, and says what to do about what fails. Stores nothing, repeats nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote
from zoneinfo import ZoneInfo

from recmon.domain.calls import ServerId
from recmon.domain.checks import CheckStep, Finding, Verdict
from recmon.errors import (
    AuthenticationFailed,
    LinkError,
    ProtocolError,
    RecmonError,
    RecordingError,
    SettingsError,
)
from recmon.net.answers import HttpLimits
from recmon.net.http import HttpClient
from recmon.net.names import Lookup, system_lookup
from recmon.net.probe import Probe, ProbeLimits
from recmon.settings.model import ListenerSettings, Secret, ServerSettings, Settings, TlsOptions
from recmon.vendors.base import CheckedPlace, HttpQuestion, Now, Reveal, StreamQuestion, VendorAdapter

NOT_REACHED = Finding(Verdict.SKIPPED, "not reached")


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """Deadlines of a check.

    Attributes:
        probe: of the steps up to the first answer.
        http_s: for all requests of one question over HTTP.
    """

    probe: ProbeLimits = field(default_factory=ProbeLimits)
    http_s: float = 20.0


@dataclass(frozen=True, slots=True)
class _Planned:
    name: str
    run: Callable[[], Awaitable[Finding]]


class CheckService:
    """Checks the servers of the settings.

    A check opens connections of its own beside those of the program, subscribes where the server has events,
    and asks nothing twice.

    Args:
        settings: names the servers.
        adapters: the vendors by name.
        reveal: looks secrets up.
        now: the clock, aware UTC.
        limits: deadlines.
        lookup: finds the addresses of a name; runs in a thread.
    """

    def __init__(
        self,
        settings: Settings,
        adapters: Mapping[str, VendorAdapter],
        reveal: Reveal,
        *,
        now: Now,
        limits: CheckLimits | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._servers: dict[ServerId, ServerSettings] = {server.name: server for server in settings.servers}
        self._listener = settings.listener
        self._adapters = adapters
        self._reveal = reveal
        self._now = now
        self._limits = limits or CheckLimits()
        self._lookup = lookup

    @property
    def servers(self) -> tuple[ServerId, ...]:
        """The servers that can be checked, in the order of the settings."""
        return tuple(self._servers)

    async def check(self, server: ServerId, path: str | None = None) -> AsyncGenerator[CheckStep, None]:
        """Yield the steps as they are done; after one that failed, all others are skipped.

        Close the generator where it is left early (`contextlib.aclosing`): it holds a connection.

        Args:
            server: name of the server.
            path: of a recording there that is asked for, where the vendor knows paths.

        Raises:
            SettingsError: there is no such server.
        """
        probes: list[Probe] = []
        clock = asyncio.get_running_loop().time
        has_failed = False
        try:
            for planned in self._plan(server, path, probes):
                begun = clock()
                finding = NOT_REACHED if has_failed else await planned.run()
                step = CheckStep(server, planned.name, finding, round((clock() - begun) * 1000, 1))
                has_failed = has_failed or step.is_failure
                yield step
        finally:
            for probe in probes:
                probe.close()

    def _plan(self, server: ServerId, path: str | None, probes: list[Probe]) -> Sequence[_Planned]:
        settings = self._servers.get(server)
        if settings is None:
            known = ", ".join(self._servers) or "none"
            raise SettingsError((f"there is no server {server} in the settings; known are: {known}",))
        adapter = self._adapters[settings.vendor]
        zone = ZoneInfo(settings.time_zone)
        steps: list[_Planned] = []
        options = settings.options
        if adapter.hook_parser(options, server, zone, lambda reference: Secret("-")) is not None:
            make_parser = partial(adapter.hook_parser, options, server, zone, self._reveal)
            steps.append(_Planned("hooks", partial(_look_up_secrets, server, make_parser)))
            steps.append(_Planned("listener", partial(_find_listener, self._listener)))
        for place in adapter.checked_places(settings.options, server, zone, self._reveal, path):
            probe = self._probe(server, place)
            probes.append(probe)
            steps += self._steps_at(server, place, probe)
        return steps or [_Planned("settings", _nothing_to_check)]

    def _steps_at(self, server: ServerId, place: CheckedPlace, probe: Probe) -> Sequence[_Planned]:
        steps = [
            _Planned("name", probe.look_up),
            _Planned("tcp", probe.connect),
            _Planned("tls", probe.secure),
        ]
        if place.stream_questions:
            first, *others = place.stream_questions
            steps.append(_Planned("first bytes", probe.listen))
            steps.append(_Planned(first.step, partial(_ask_and_close, probe, first)))
            steps += [_Planned(other.step, partial(self._ask_anew, server, place, other)) for other in others]
        steps += [
            _Planned(question.step, partial(self._ask_http, server, place, probe, question))
            for question in place.http_questions
        ]
        return [_Planned(f"{place.prefix}{step.name}", step.run) for step in steps]

    def _probe(self, server: ServerId, place: CheckedPlace) -> Probe:
        return Probe(server, place, now=self._now, limits=self._limits.probe, lookup=self._lookup)

    async def _ask_anew(self, server: ServerId, place: CheckedPlace, question: StreamQuestion) -> Finding:
        probe = self._probe(server, place)
        try:
            for step in (probe.look_up, probe.connect, probe.secure):
                finding = await step()
                if finding.verdict is Verdict.FAILED:
                    return Finding(
                        Verdict.FAILED, f"no second connection for this: {finding.text}", finding.advice
                    )
            return await probe.ask(question)
        finally:
            probe.close()

    async def _ask_http(
        self, server: ServerId, place: CheckedPlace, probe: Probe, question: HttpQuestion
    ) -> Finding:
        # It has shown what it should; requests go over a connection of their own.
        probe.close()
        limits = self._limits
        client = HttpClient(
            server,
            question.base_url,
            place.tls or TlsOptions(),
            limits=HttpLimits(connect_s=limits.probe.connect_s, first_byte_s=limits.probe.answer_s),
        )
        try:
            async with asyncio.timeout(limits.http_s):
                # In a thread: the system's key store may take its time.
                flow = await asyncio.to_thread(question.ask, self._now)
                return await client.run(flow)
        except TimeoutError:
            return Finding(
                Verdict.FAILED,
                f"the answer was not complete within {limits.http_s:g} s",
                "The server or the network is too slow at the moment; try again later.",
            )
        except RecmonError as error:
            return _failure(error)
        finally:
            await client.close()


async def _ask_and_close(probe: Probe, question: StreamQuestion) -> Finding:
    # Closed at once: the next question's connection must not be one too many for the server.
    try:
        return await probe.ask(question)
    finally:
        probe.close()


async def _look_up_secrets(server: ServerId, make_parser: Callable[[], object]) -> Finding:
    """Tell whether requests of a server that calls us can be received; none is sent."""
    try:
        # In a thread: the system's key store may take its time.
        await asyncio.to_thread(make_parser)
    except SettingsError as error:
        return _failure(error)
    return Finding(
        Verdict.OK,
        f"it is to send to /hooks/{quote(server, safe='')}/ and the secret, which is where the settings say",
    )


async def _find_listener(listener: ListenerSettings) -> Finding:
    # Here and not above: it takes 0.4 s, and only servers that send web hooks need it.
    from recmon.net.knock import find_listener

    found = await find_listener(listener.origin, listener.tls.certificate or None)
    if found.is_well:
        return Finding(Verdict.OK, f"recmon listens at {listener.origin}")
    return Finding(
        Verdict.NOTE,
        f"{listener.origin}: {found.sentence.rstrip('.')}",
        "Web hooks arrive only while recmon runs (window or `recmon watch`); start it, then check again.",
    )


async def _nothing_to_check() -> Finding:
    return Finding(
        Verdict.NOTE,
        "the settings of this server name nothing to connect to",
        "Add its addresses; docs/servers.md tells which keys there are.",
    )


def _failure(error: RecmonError) -> Finding:
    """Put a failure that the vendor has no words of its own for into general ones."""
    match error:
        case SettingsError():
            text, advice = "; ".join(error.problems), "Store it there, or correct the settings."
        case AuthenticationFailed():
            text, advice = error.detail, "Check user, keys and password in the settings."
        case LinkError():
            text, advice = error.detail, "Check host, port and network."
        case ProtocolError():
            text, advice = error.detail, "Check the url: something else than this interface answered."
        case RecordingError():
            text, advice = error.reason, "Try again; if it stays so, the server's log may tell more."
        case _:
            text, advice = str(error), "Try again; if it stays so, the log may tell more."
    return Finding(Verdict.FAILED, text, advice)
