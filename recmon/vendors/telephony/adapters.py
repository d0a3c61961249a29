"""Finds a provider's adapter by name: our own ones, or one that is installed as a package.

A package names its adapter's class in the entry point group `recmon.telephony`; it is loaded only when a
settings file asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from recmon.vendors.telephony.contract import TelephonyAdapter

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "recmon.telephony"


def _generic() -> type[TelephonyAdapter]:
    # Here and below not at the top: only what the settings name is imported.
    from recmon.vendors.telephony.generic import Generic

    return Generic


def _zadarma() -> type[TelephonyAdapter]:
    from recmon.vendors.telephony.zadarma import Zadarma  # as above

    return Zadarma


def _mango() -> type[TelephonyAdapter]:
    from recmon.vendors.telephony.mango import Mango  # as above

    return Mango


def _megafon() -> type[TelephonyAdapter]:
    from recmon.vendors.telephony.megafon import Megafon  # as above

    return Megafon


def _twilio() -> type[TelephonyAdapter]:
    from recmon.vendors.telephony.twilio import Twilio  # as above

    return Twilio


_OWN: Mapping[str, Callable[[], type[TelephonyAdapter]]] = {
    "generic": _generic,
    "zadarma": _zadarma,
    "mango": _mango,
    "megafon": _megafon,
    "twilio": _twilio,
}

_PARTS = ("title", "required_secrets", "required_values", "link_hosts", "api")
_FUNCTIONS = ("verify", "parse", "resolve", "members", "test")


def adapter_names() -> tuple[str, ...]:
    """Return the names of all adapters that there are, our own first."""
    installed = sorted(point.name for point in _installed())
    return tuple(dict.fromkeys((*_OWN, *installed)))


@cache
def find_adapter(name: str) -> type[TelephonyAdapter]:
    """Return an adapter's class; our own ones cannot be replaced.

    Raises:
        ValueError: one sentence that says why there is none.
    """
    if name in _OWN:
        return _OWN[name]()
    points = [point for point in _installed() if point.name == name]
    if not points:
        raise ValueError(f"adapter {name!r} is not installed (known: {', '.join(adapter_names())})")
    if len({point.value for point in points}) > 1:
        raise ValueError(f"adapter {name!r} is offered by several packages; keep one of them installed")
    point = points[0]
    try:
        adapter = point.load()
    except Exception as error:  # a foreign package: whatever is wrong with it is told, and costs nothing else
        raise ValueError(
            f"adapter {name!r} cannot be loaded from {point.value} ({type(error).__name__})"
        ) from error
    return _checked(name, adapter)


def _installed() -> Iterable[EntryPoint]:
    # It takes 30 ms to import, which only settings with an adapter of somebody else's should pay.
    import importlib.metadata

    return importlib.metadata.entry_points(group=GROUP)


def _checked(name: str, adapter: Any) -> type[TelephonyAdapter]:
    missing = [part for part in (*_PARTS, *_FUNCTIONS) if not hasattr(adapter, part)]
    if not isinstance(adapter, type) or missing:
        lacks = f"it lacks {', '.join(missing)}" if missing else "it is no class"
        raise ValueError(f"adapter {name!r} does not follow docs/telephony-adapters.md: {lacks}")
    return cast("type[TelephonyAdapter]", adapter)
