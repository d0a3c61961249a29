"""Publisher[T], a typed observer: says what happened to everyone who asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Subscription:
    """A kept subscription; `cancel` ends it, also while a value is being delivered."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """Receive nothing more. Safe to call twice."""
        self._cancel()


class Publisher(Generic[T]):
    """Delivers each published value to every subscriber, in order of subscription, in the caller's thread."""

    def __init__(self) -> None:
        self._receivers: dict[int, Callable[[T], None]] = {}
        self._next = 0

    def subscribe(self, receive: Callable[[T], None]) -> Subscription:
        """Call `receive` with every value published from now on, until the subscription is cancelled."""
        number = self._next
        self._next += 1
        self._receivers[number] = receive
        return Subscription(lambda: self._receivers.pop(number, None) and None)

    def publish(self, value: T) -> None:
        """Deliver a value to all subscribers.

        Raises:
            ExceptionGroup: what subscribers raised, after all of them were called.
        """
        failures: list[Exception] = []
        for number, receive in tuple(self._receivers.items()):
            if number not in self._receivers:
                continue
            try:
                receive(value)
            except Exception as error:  # re-raised below: one bad subscriber must not starve the others
                failures.append(error)
        if failures:
            raise ExceptionGroup("subscribers failed", failures)
