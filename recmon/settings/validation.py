"""Makes a dataclass from a TOML table, and a plain sentence from everything that is wrong with it."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from recmon.logs import mask, printable
from recmon.settings.model import SecretRef
from recmon.settings.positions import KeyPath

T = TypeVar("T")

Table = dict[str, Any]

_SENTENCES = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "path_type": "must be text in quotes",
    "tuple_type": "must be a list in square brackets",
    "list_type": "must be a list in square brackets",
    "dataclass_type": "must be a table",
    "dict_type": "must be a table",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a value.

    Attributes:
        path: the key it is about; for a missing key, that of its table.
        sentence: what is wrong, beginning with the key as the user knows it.
    """

    path: KeyPath
    sentence: str


class Invalid(Exception):
    """A table cannot be used; never leaves this package.

    Attributes:
        problems: all that is wrong with it.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(len(problems))
        self.problems = tuple(problems)


def checked(kind: type[T], table: Table, base: KeyPath, folder: Path, *, also: Iterable[str] = ()) -> T:
    """Return the table as a dataclass, its relative paths resolved.

    Args:
        kind: a dataclass.
        table: as read from TOML.
        base: where the table is in the file.
        folder: which relative paths are relative to.
        also: further keys that are right beside this dataclass's own, for suggestions.

    Raises:
        Invalid: listing all problems.
    """
    # Here and not above: it takes a tenth of a second, and a program without settings does not need it.
    from pydantic import TypeAdapter, ValidationError

    problems = list(_unknown_keys(kind, table, base, (), tuple(also)))
    try:
        # As JSON, where strict means what TOML's types mean: no text for a number, but a list for a tuple.
        value = TypeAdapter(kind).validate_json(json.dumps(table, default=_foreign), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems += _problems_of(typing.cast(Sequence[Mapping[str, Any]], details), table, base)
    if problems:
        raise Invalid(problems)
    return typing.cast(T, _resolved(value, folder))


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence for a key that means nothing, with the nearest one that does."""
    return f"is not a known key{suggestion(key, known)}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a question for the nearest known word, or nothing where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def dotted(path: Iterable[str | int]) -> str:
    """Write a path as in TOML, with places in lists counted from 1."""
    text = ""
    for part in path:
        text += f" entry {part + 1}" if isinstance(part, int) else f".{part}" if text else part
    return printable(text)


def _unknown_keys(
    kind: Any, table: Table, base: KeyPath, path: KeyPath, also: tuple[str, ...] = ()
) -> Iterable[Problem]:
    hints = typing.get_type_hints(kind)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}
    for key, value in table.items():
        place = (*path, key)
        if key not in fields:
            sentence = f"{dotted(place)} {unknown_key(key, [*fields, *also])}"
            yield Problem((*base, *place), sentence)
        elif inner := _dataclass_in(fields[key]):
            yield from _unknown_keys_within(inner, value, base, place)


def _unknown_keys_within(kind: Any, value: Any, base: KeyPath, place: KeyPath) -> Iterable[Problem]:
    if isinstance(value, dict):
        yield from _unknown_keys(kind, value, base, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_keys_within(kind, item, base, (*place, index))


def _dataclass_in(hint: Any) -> Any:
    """Return the dataclass that a table, or each table of a list, stands for, or None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType, tuple):
        return next((kind for kind in typing.get_args(hint) if dataclasses.is_dataclass(kind)), None)
    return hint if dataclasses.is_dataclass(hint) else None


def _problems_of(details: Sequence[Mapping[str, Any]], table: Table, base: KeyPath) -> list[Problem]:
    alternatives: dict[KeyPath, list[str]] = {}
    problems: list[Problem] = []
    for detail in details:
        if detail["type"] == "unexpected_keyword_argument":
            continue  # told by _unknown_keys, with a suggestion
        is_missing = detail["type"] == "missing"
        location = detail["loc"][:-1] if is_missing else detail["loc"]
        path, value, branch = _follow(location, table)
        sentence = _sentence(detail)
        if is_missing:
            problems.append(Problem((*base, *path), f"{dotted((*path, detail['loc'][-1]))} {sentence}"))
        elif branch is None or (isinstance(value, dict) and detail["type"] == "value_error"):
            problems.append(_told(path, value, detail["type"], sentence, base))
        elif not isinstance(value, dict):
            alternatives.setdefault(path, []).append(sentence.removeprefix("must be "))
    for path, kinds in alternatives.items():
        words = " or ".join(dict.fromkeys(kinds))
        problems.append(Problem((*base, *path), f"{dotted(path)} must be {words}"))
    return problems


def _follow(location: Sequence[str | int], table: Table) -> tuple[KeyPath, Any, str | None]:
    """Return the part of pydantic's location that is in the file, its value, and the alternative tried."""
    value: Any = table
    path: KeyPath = ()
    branch: str | None = None
    for part in location:
        is_key = isinstance(value, dict) and part in value
        is_index = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not is_key and not is_index:
            branch = str(part)
            continue
        value = value[part]
        path += (part,)
        branch = None
    return path, value, branch


def _told(path: KeyPath, value: Any, kind: str, sentence: str, base: KeyPath) -> Problem:
    if kind != "value_error":
        return Problem((*base, *path), f"{dotted(path)} {sentence}")
    # A type's own check; many of a table begin with the key that they are about.
    first_word = re.match(r"\w+", sentence)
    if isinstance(value, dict) and first_word is not None and first_word.group() in value:
        path += (first_word.group(),)
        return Problem((*base, *path), f"{dotted(path)}{sentence[first_word.end() :]}")
    return Problem((*base, *path), f"{dotted(path)}: {sentence}" if path else sentence)


def _sentence(detail: Mapping[str, Any]) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        # The settings' own checks speak in sentences; masked all the same, as they may repeat a value.
        return printable(mask(str(context["error"])))
    if detail["type"] in ("literal_error", "enum"):
        return f"must be {context['expected'].replace(chr(39), chr(34))}"
    known = _SENTENCES.get(detail["type"])
    if known is not None:
        return known
    message = str(detail["msg"])
    return printable(mask("must be " + message.removeprefix("Input should be ")))


def _foreign(value: Any) -> Any:
    # Dates and times have no place in our settings; as a list they are told as the wrong type.
    return [str(value)]


def _resolved(value: Any, folder: Path) -> Any:
    """Return the value with relative paths, also those of secret files, made absolute."""
    if isinstance(value, SecretRef):
        if value.scheme == "file":
            return SecretRef("file", str(folder / Path(value.name).expanduser()))
        return value
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, tuple):
        return tuple(_resolved(item, folder) for item in value)
    if isinstance(value, dict):
        return {key: _resolved(item, folder) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _resolved(getattr(value, field.name), folder)
            for field in dataclasses.fields(value)
            if field.init
        }
        return dataclasses.replace(value, **changed)
    return value
