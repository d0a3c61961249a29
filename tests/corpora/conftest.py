"""Tests over public data sets that lie beside the checkout; run them with `pytest -m corpora`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The figures, and the traced reading of documents, are those of the fault tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

FOLDER = Path(__file__).parents[3] / "shared" / "corpora"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("corpora")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Return the folder of data sets; who asks for these tests needs it."""
    if not FOLDER.is_dir():
        pytest.fail(f"the data sets are not there: {FOLDER}")
    return FOLDER


@pytest.fixture(scope="session")
def naughty_strings(corpora: Path) -> list[str]:
    """Return hostile texts: well-known naughty ones, invalid UTF-8, paths that lead outside, forged lines."""
    import json

    texts: list[str] = json.loads((corpora / "strings/blns/blns.json").read_text("utf-8"))
    broken = (corpora / "strings/utf8-kuhn/UTF-8-test.txt").read_bytes()
    texts += [line.decode("utf-8", "replace") for line in broken.split(b"\n")]
    texts += [line.decode("utf-8", "surrogateescape") for line in broken.split(b"\n")]
    for file in sorted((corpora / "strings/path-traversal").glob("*.txt")):
        texts += file.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    return list(dict.fromkeys(texts))
