"""Marked places of recordings, asked from a simulated server over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.errors import AuthenticationFailed
from recmon.services.markers import CallMarker, MarkerService
from recmon.services.queries import HistoryQueries
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.verba_http import Account, VerbaHttpSimulator
from recmon.vendors.base import HistoryFlows
from recmon.vendors.verba.flows import history_flows
from recmon.vendors.verba.options import HttpOptions

EAST = ServerId("east")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACCOUNT = Account("key-1", "supervisor", "secret-1")
CALL = Call(CallKey(EAST, "c-1"), CallState.ENDED)

Run = Callable[..., Any]


async def markers_of(call: Call, *, password: str = ACCOUNT.password, is_asked: bool = True) -> Any:
    record = {
        "ccdr_id": "c-1",
        "start_time": "2026-11-21 10:00:00.000",
        "end_time": "2026-11-21 10:01:00.000",
    }
    marks = [("answered", 1_500, 1_500), ("again", 20_000, 25_000)]
    secrets = {"KEY": ACCOUNT.api_key, "PASSWORD": password}
    async with VerbaHttpSimulator(
        ACCOUNT, lambda: [record], marked=lambda call_id: marks if call_id == "c-1" else ()
    ) as simulator:

        def flows(server: ServerId) -> HistoryFlows | None:
            options = HttpOptions(
                simulator.url, SecretRef("env", "KEY"), ACCOUNT.user, SecretRef("env", "PASSWORD")
            )
            if not is_asked:
                return None
            return history_flows(options, server, UTC, lambda ref: Secret(secrets[ref.name]))

        async with HistoryQueries(flows) as queries:
            return await MarkerService(queries, lambda: NOW).of(call)


def test_marked_places_come_in_order_of_time(run: Run) -> None:
    first, second = run(markers_of(CALL))
    assert (first.name, first.start_s) == ("answered", 1.5)
    assert second == CallMarker("again", 20.0, 25.0)


def test_a_server_that_is_not_asked_has_none(run: Run) -> None:
    assert run(markers_of(CALL, is_asked=False)) == ()


def test_a_refusal_is_told_to_whoever_asks(run: Run) -> None:
    with pytest.raises(AuthenticationFailed):
        run(markers_of(CALL, password="wrong"))
