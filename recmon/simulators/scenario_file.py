"""Reads a scenario from a JSON file and says everything that is wrong with it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recmon.simulators.drafts import CONVERSATIONS, INTERNAL_CONVERSATION

_FILE_KEYS: dict[str, tuple[tuple[type, ...], str]] = {
    "seed": ((int,), "a whole number"),
    "servers": ((list,), "a list of names"),
    "calls_per_minute": ((int, float), "a number"),
    "concurrent": ((int,), "a whole number"),
    "calls": ((list,), "a list of calls"),
}
_CALL_TEXTS = ("native_id", "call_id", "from_number", "from_name", "to_number", "to_name")
_CALL_CHOICES: dict[str, tuple[str | int, ...]] = {
    "direction": ("incoming", "outgoing", "internal"),
    "conversation": (*CONVERSATIONS, INTERNAL_CONVERSATION),
    "codec": ("alaw", "ulaw", "pcm"),
    "channels": (1, 2),
}
_LONGEST_S = 4 * 3600
_FARTHEST_S = 72 * 3600


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call written into a scenario file; what it leaves out is invented.

    Attributes:
        server: name of the recording server.
        after_s: start in seconds after the scenario begins; negative for a call that began before.
        fields: values for fields of `ScriptedCall`, by name.
    """

    server: str
    after_s: float
    fields: tuple[tuple[str, str | int | float], ...] = ()


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """What a scenario file says; the fields are the arguments of `Scenario`."""

    seed: int = 1
    servers: tuple[str, ...] = ("east", "west", "north")
    calls_per_minute: float = 12
    concurrent: int = 8
    planned: tuple[PlannedCall, ...] = ()


def read_scenario_file(path: Path) -> ScenarioFile:
    """Read a scenario from a JSON file: one object with any of these keys.

    `seed` (whole number), `servers` (list of names), `calls_per_minute`, `concurrent`, and `calls`: a list of
    objects with `server`, `after_s` (start in seconds from the beginning of the play; negative for a call
    that began before) and any other field of `ScriptedCall` that is not to be invented.

    Raises:
        ValueError: the file cannot be read or used; one sentence for each problem.
    """
    values = _read_object(path)
    problems = [f"unknown key {key!r}" for key in values if key not in _FILE_KEYS]
    for key, (types, words) in _FILE_KEYS.items():
        if key in values and not _is(values[key], types):
            problems.append(f"{key} must be {words}")
    servers = values.get("servers", [])
    if isinstance(servers, list) and not all(isinstance(name, str) and name for name in servers):
        problems.append("servers must be a list of names")
    planned: list[PlannedCall] = []
    calls = values.pop("calls", [])
    if isinstance(calls, list):
        for place, entry in enumerate(calls, 1):
            read, wrong = _read_planned(entry)
            problems += [f"call {place}: {problem}" for problem in wrong]
            planned += [read] if read else []
    if problems:
        raise ValueError("; ".join(f"{path}: {problem}" for problem in problems))
    if "servers" in values:
        values["servers"] = tuple(servers)
    return ScenarioFile(**values, planned=tuple(planned))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read: {error.strerror or error}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: this is not JSON: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: this is not JSON in UTF-8") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: a scenario is one JSON object")
    return values


def _read_planned(entry: object) -> tuple[PlannedCall | None, list[str]]:
    """Return the call, or None and what is wrong with it."""
    if not isinstance(entry, dict):
        return None, ["must be an object"]
    problems: list[str] = []
    fields: dict[str, str | int | float] = {}
    for key, value in entry.items():
        if key in ("server", "after_s"):
            continue
        if key in _CALL_TEXTS:
            wanted = None if isinstance(value, str) else "a text"
        elif key in _CALL_CHOICES:
            choices = _CALL_CHOICES[key]
            fits = value in choices and not isinstance(value, bool)
            wanted = None if fits else "one of " + ", ".join(map(str, choices))
        elif key == "duration_s":
            fits = _is(value, (int, float)) and 0 < value <= _LONGEST_S
            wanted = None if fits else f"seconds above 0, at most {_LONGEST_S}"
        elif key == "answer_after_s":
            wanted = None if _is(value, (int, float)) and value >= 0 else "seconds, not negative"
        elif key == "cause_id":
            wanted = None if _is(value, (int,)) and value >= 0 else "a whole number, not negative"
        else:
            problems.append(f"unknown key {key!r}")
            continue
        if wanted:
            problems.append(f"{key} must be {wanted}")
        fields[key] = value
    server, after_s = entry.get("server"), entry.get("after_s")
    if not isinstance(server, str):
        problems.append("server must be a name")
    if not isinstance(after_s, (int, float)) or not _is(after_s, (int, float)) or abs(after_s) > _FARTHEST_S:
        problems.append(f"after_s must be a number of seconds from -{_FARTHEST_S} to {_FARTHEST_S}")
        return None, problems
    if problems:
        return None, problems
    return PlannedCall(str(server), after_s, tuple(fields.items())), []


def _is(value: object, types: tuple[type, ...]) -> bool:
    # JSON's true is an int to Python; 1e999 is read as infinity
    return isinstance(value, types) and not isinstance(value, bool) and value not in (math.inf, -math.inf)
