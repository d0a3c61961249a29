"""The recorder API's codec alone: notifications understood in a second of one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from recmon.domain.events import CallEnded, CallStarted
from recmon.simulators.verba_documents import Form, notification
from recmon.vendors.verba.codec import VerbaCodec
from recmon.vendors.verba.options import EventsOptions
from tests.bench.load import record

NOTIFICATIONS = 20_000
READ_SIZE = 64 * 1024
RUNS = 5


def measure() -> Mapping[str, float]:
    """Feed the codec reads of the usual size; processor time, median of the runs."""
    documents = [
        notification(Form.EVENT, record(number // 2, ended=bool(number % 2)), ended=bool(number % 2)).encode()
        for number in range(NOTIFICATIONS)
    ]
    stream = b"".join(documents)
    rates = [NOTIFICATIONS / _cpu_s_for(stream) for _ in range(RUNS)]
    return {
        "codec_notifications_s": statistics.median(rates),
        "codec_notification_bytes": len(stream) / NOTIFICATIONS,
    }


def _cpu_s_for(stream: bytes) -> float:
    codec = VerbaCodec(EventsOptions("127.0.0.1", 1), UTC)
    codec.start()
    now = datetime.now(UTC)
    begun = time.process_time()
    understood = 0
    for place in range(0, len(stream), READ_SIZE):
        events = codec.receive_data(stream[place : place + READ_SIZE], now)
        understood += sum(isinstance(event, CallStarted | CallEnded) for event in events)
    spent_s = time.process_time() - begun
    assert understood == NOTIFICATIONS, f"{understood} of {NOTIFICATIONS} understood"
    return spent_s
