"""An adapter that is installed as a package: the one of docs/telephony-adapters.md, as written there."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recmon.domain.calls import CallState
from recmon.domain.events import RecordingTold
from recmon.errors import SettingsError
from recmon.protocol.http import HttpResponse
from recmon.settings.model import Secret
from recmon.settings.store import parse_settings
from recmon.vendors.telephony import ADAPTER, adapters
from recmon.vendors.telephony.options import TelephonyOptions
from tests.telephony import AT, SECRETS, SERVER, calls_after, options_of, parser_of, request
from tests.telephony_flows import flows_of, play

PAGE = Path(__file__).parents[3] / "docs" / "telephony-adapters.md"
KEY = "acme-key-of-the-test"
SETTINGS = '[servers.secrets]\nacme_key = "env:ACME_KEY"\n'


def code_of(language: str, containing: str) -> str:
    """Return the page's block of code that has a text in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if containing in block)
    return block


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Install a module as pip would: beside it a folder that tells its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SECRETS, "ACME_KEY", KEY)
    adapters.find_adapter.cache_clear()
    before = set(sys.modules)

    def write(code: str, entry: str, package: str = "recmon_acme") -> None:
        (tmp_path / f"{package}.py").write_text(code, encoding="utf-8")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[recmon.telephony]\n{entry}\n")

    yield write
    adapters.find_adapter.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("recmon_acme") or name.startswith("recmon_other"):
            del sys.modules[name]


@pytest.fixture
def acme(install) -> None:
    entry = re.search(r'^acme = "(.*)"$', code_of("toml", "entry-points"), re.MULTILINE)
    assert entry is not None
    install(code_of("python", "class AcmePbx"), f"acme = {entry[1]}")


def signed(message):
    body = json.dumps(message).encode()
    signature = hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    return request(body, headers={"X-Acme-Signature": signature})


def test_the_example_of_the_documentation_works(acme):
    parser = parser_of("acme", SETTINGS)
    about = {"id": "a-1", "caller": "+15550100111", "extension": "204"}
    messages = [signed({**about, "what": what}) for what in ("ring", "talk", "bye")]
    assert [parser.verify(message) for message in messages] == [None] * 3
    assert parser.verify(request(messages[0].body)) == "the signature is wrong"
    call = calls_after([parser.parse(message) for message in messages])["a-1"]
    assert (call.state, call.caller.number, call.callee.number) == (CallState.ENDED, "+15550100111", "204")
    url = "https://media.acme-pbx.example/a-1.mp3"
    record = signed({**about, "what": "recording", "seconds": 61, "url": url})
    (told,) = parser.parse(record).events
    assert isinstance(told, RecordingTold)
    assert told.duration_s == 61
    file = HttpResponse(200, {}, b"ID3" + b"\0" * 61)
    head, (asked,) = play(flows_of("acme", SETTINGS), told.locator, AT, file)
    assert (head.extension, asked.origin, asked.target) == (
        ".mp3",
        "https://media.acme-pbx.example",
        "/a-1.mp3",
    )
    assert options_of("acme", SETTINGS).link_rules.hosts[0].host == "acme-pbx.example"


def test_the_example_is_about_forty_lines():
    assert len([line for line in code_of("python", "class AcmePbx").splitlines() if line.strip()]) <= 45


def test_the_settings_of_the_documentation_are_right(acme):
    text = "version = 1\n" + code_of("toml", 'adapter = "acme"')
    (server,) = parse_settings(text, Path("/etc/recmon.toml"), {"telephony": TelephonyOptions}).servers
    parser = ADAPTER.hook_parser(server.options, SERVER, AT.tzinfo, lambda ref: Secret(ref.name))
    assert parser.secret.reveal() == "BRANCH_HOOK_SECRET"


def test_without_its_secret_an_installed_adapter_stays_off(acme):
    with pytest.raises(SettingsError, match="adapter 'acme' needs acme_key"):
        options_of("acme")


def test_nothing_is_loaded_before_the_settings_name_it(install):
    install("raise RuntimeError('loaded')", "acme = recmon_acme:AcmePbx")
    options_of("generic")
    assert "recmon_acme" not in sys.modules
    with pytest.raises(SettingsError, match=r"cannot be loaded from recmon_acme:AcmePbx \(RuntimeError\)"):
        options_of("acme")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("class AcmePbx:\n    title = 'Acme'\n", "it lacks required_secrets, required_values, link_hosts"),
        ("def AcmePbx(account): ...\n", "does not follow docs/telephony-adapters.md"),
        ("", r"cannot be loaded from recmon_acme:AcmePbx \(AttributeError\)"),
        ("import nowhere_to_be_found", r"\(ModuleNotFoundError\)"),
    ],
)
def test_a_package_that_is_no_adapter_is_told_in_a_sentence(install, code, sentence):
    install(code, "acme = recmon_acme:AcmePbx")
    with pytest.raises(SettingsError, match=sentence):
        options_of("acme")


def test_a_name_that_two_packages_offer_is_nobodys(install):
    install("class AcmePbx: ...", "acme = recmon_acme:AcmePbx")
    install("class AcmePbx: ...", "acme = recmon_other:AcmePbx", "recmon_other")
    with pytest.raises(SettingsError, match="offered by several packages"):
        options_of("acme")


def test_our_own_adapters_cannot_be_replaced(install):
    install("raise RuntimeError('loaded')", "generic = recmon_acme:AcmePbx")
    assert options_of("generic").adapter == "generic"
    assert "recmon_acme" not in sys.modules


def test_installed_adapters_are_among_those_that_are_known(acme):
    with pytest.raises(SettingsError, match=r"known: generic, zadarma, mango, megafon, twilio, acme"):
        options_of("acm")
