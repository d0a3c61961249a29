from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.members import Member
from recmon.errors import LinkRefused, RecordingMissing, SettingsError
from recmon.settings.model import SecretRef
from recmon.settings.store import parse_settings
from recmon.vendors.links import parse_origin
from recmon.vendors.telephony import ADAPTER
from recmon.vendors.telephony.options import TelephonyOptions
from tests.telephony import KEYS, options_of, settings_text


def problems_of(text):
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, Path("/etc/recmon.toml"), {"telephony": TelephonyOptions})
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize("adapter", sorted(KEYS))
def test_each_adapter_has_its_own_keys(adapter):
    options = options_of(adapter)
    assert options.adapter == adapter
    assert options.hook_secret == SecretRef("env", "HOOK")


@pytest.mark.parametrize(
    ("adapter", "missing"),
    [
        ("zadarma", "api_key and api_secret"),
        ("mango", "api_key and api_salt"),
        ("megafon", "crm_token"),
        ("twilio", "auth_token"),
    ],
)
def test_a_provider_without_its_secrets_stays_off(adapter, missing):
    text = settings_text(adapter).replace(KEYS[adapter], "")
    assert (
        f"adapter '{adapter}' needs {missing}, without which nobody could tell a genuine web hook"
        in problems_of(text)
    )


def test_an_address_without_a_secret_stays_off():
    assert "hook_secret is missing" in problems_of(
        settings_text("generic").replace('hook_secret = "env:HOOK"\n', "")
    )


@pytest.mark.parametrize(
    ("further", "sentence"),
    [
        ('api_key = "demo-key"\n', "secrets are not stored in this file"),
        ('api_url = "pbx.example.org"\n', "api_url must be http:// or https://"),
        ('api_url = "https://pbx.example.org/api"\n', "api_url must be http:// or https://"),
        ('link_hosts = ["https://pbx.example.org/rec"]\n', "link_hosts"),
        ('link_hosts = ["*.org"]\n', "must be followed by a name with a dot"),
        ('link_networks = ["10.0.0.5/8"]\n', "link_networks: '10.0.0.5/8' is not a network"),
        ("parallel_downloads = 9\n", "parallel_downloads must be from 1 to 4"),
        ('[[servers.members]]\nnumber = ""\n', "number must be an extension"),
        (
            '[[servers.members]]\nnumber = "1"\nwatch = true\n',
            "watch is not a known key; did you mean watched?",
        ),
        (
            '[[servers.members]]\nnumber = "1"\n[[servers.members]]\nnumber = "1"\n',
            "members names the number 1 twice",
        ),
        ('colour = "red"\n', "colour is not a known key"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(further, sentence):
    problems = problems_of(settings_text("generic", further))
    assert sentence in problems
    assert problems.startswith("/etc/recmon.toml:")


def test_an_adapter_that_is_not_there_is_named_with_those_that_are():
    problems = problems_of(settings_text("asterisk"))
    assert "adapter 'asterisk' is not installed (known: generic, zadarma, mango, megafon, twilio" in problems


def test_members_and_secrets_of_further_adapters():
    further = (
        '[servers.secrets]\nown_token = "file:own-token"\n[servers.values]\nregion = "eu"\n'
        '[[servers.members]]\nnumber = "204"\nname = "Anna"\nwatched = false\n'
    )
    options = options_of("generic", further)
    assert options.secret_refs == {"own_token": SecretRef("file", "/etc/own-token")}
    assert options.texts == {"region": "eu"}
    assert options.members == (Member("204", "Anna", watched=False),)


def test_links_lead_to_the_providers_hosts_and_those_of_the_settings():
    rules = options_of("zadarma", 'link_hosts = ["rec.example.com:8443"]\n').link_rules
    for origin in ("https://api.zadarma.com", "https://rec.example.com:8443"):
        rules.check_origin(parse_origin(origin))
    for origin in ("http://api.zadarma.com", "https://zadarma.com.example.org", "https://rec.example.com"):
        with pytest.raises(LinkRefused):
            rules.check_origin(parse_origin(origin))


def test_only_the_provider_tells_where_recordings_are():
    call = Call(CallKey(ServerId("pbx"), "c-1"), CallState.RINGING)
    with pytest.raises(
        RecordingMissing, match="the provider has told of no recording of this call, or not yet"
    ):
        ADAPTER.default_recording(options_of("twilio"), call)


def test_an_interface_elsewhere_is_allowed_by_itself():
    options = options_of("twilio", 'api_url = "http://127.0.0.1:9000"\nlink_networks = ["10.1.0.0/16"]\n')
    options.link_rules.check_origin(parse_origin("http://127.0.0.1:9000"))
    assert options.link_rules.networks == (ipaddress.ip_network("10.1.0.0/16"),)
