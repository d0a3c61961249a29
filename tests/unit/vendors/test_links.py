from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.errors import LinkRefused
from recmon.vendors.links import AllowedHost, LinkRules, Origin, parse_origin, split_link


@pytest.mark.parametrize(
    ("link", "origin", "target"),
    [
        ("https://rec.example.com/a/b.mp3?x=1#t", "https://rec.example.com", "/a/b.mp3?x=1"),
        ("HTTPS://Rec.Example.COM.:443", "https://rec.example.com", "/"),
        ("http://rec.example.com:8080/?s=a%2Fb+c", "http://rec.example.com:8080", "/?s=a%2Fb+c"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443", "/x"),
        ("https://rec.example.com/ж.wav", "https://rec.example.com", "/%D0%B6.wav"),
        ("https://пример.example/x", "https://xn--e1afmkfd.example", "/x"),
    ],
)
def test_a_link_is_server_and_target(link, origin, target):
    found, rest = split_link(link)
    assert (str(found), rest) == (origin, target)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "rec.example.com/x",
        "//rec.example.com/x",
        "ftp://rec.example.com/x",
        "file:///etc/hosts",
        "gopher://rec.example.com/x",
        "javascript:alert(1)",
        "https:///x",
        "https://user@rec.example.com/x",
        "https://user:key@rec.example.com/x",
        "https://rec.example.com:0/x",
        "https://rec.example.com:99999/x",
        "https://rec.example.com:/x",
        "https://rec.example.com\\@127.0.0.1/x",
        "https://rec.example.com/a b",
        "https://rec.example.com/a\r\nHost: x",
        "https://2130706433/x",
        "https://0x7f.0.0.1/x",
        "https://0x7f000001/x",
        "https://127.1/x",
        "https://0177.0.0.1/x",
        "https://rec..example.com/x",
        "https://[::1/x",
        "https://[fe80::1%25eth0]/x",
        "https://" + "a" * 5000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(link):
    with pytest.raises(LinkRefused):
        split_link(link)


@given(st.text())
def test_any_text_is_an_address_or_refused(text):
    for link in (text, f"https://{text}", f"https://rec.example.com/{text}"):
        try:
            origin, target = split_link(link)
        except LinkRefused:
            continue
        assert parse_origin(str(origin)) == origin
        assert target.isascii()
        assert target.isprintable()
        assert " " not in target


@pytest.mark.parametrize("text", ["https://rec.example.com/", "https://rec.example.com/x", "https://a.b?c"])
def test_an_origin_has_no_path(text):
    with pytest.raises(LinkRefused, match="not the address of a server"):
        parse_origin(text)


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        (
            "rec.example.com",
            ["https://rec.example.com"],
            [
                "http://rec.example.com",
                "https://rec.example.com:8443",
                "https://a.rec.example.com",
                "https://rec.example.com.evil.example",
                "https://xrec.example.com",
            ],
        ),
        ("REC.example.com:8443", ["https://rec.example.com:8443"], ["https://rec.example.com"]),
        (
            "*.example.com",
            ["https://a.example.com", "https://b.a.example.com"],
            ["https://example.com", "https://badexample.com"],
        ),
        (
            "http://rec.example.com:8080",
            ["http://rec.example.com:8080"],
            ["https://rec.example.com:8080", "http://rec.example.com"],
        ),
        ("127.0.0.1:9000", ["https://127.0.0.1:9000"], ["https://127.0.0.2:9000", "https://127.0.0.1"]),
        ("[::1]:9000", ["https://[::1]:9000"], ["https://[::1]"]),
    ],
)
def test_an_entry_allows_one_scheme_host_and_port(entry, allowed, refused):
    rules = LinkRules((AllowedHost.parse(entry),))
    for origin in allowed:
        rules.check_origin(parse_origin(origin))
    for origin in refused:
        with pytest.raises(LinkRefused):
            rules.check_origin(parse_origin(origin))


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "*.com", "*.10.0.0.1", "a b", "https://a/b", "a:0", "a:70000", "ftp://a", "u@a", "a,b"],
)
def test_an_entry_that_says_nothing_clear_is_refused_in_words(entry):
    with pytest.raises(ValueError, match=r"is not a host|a port is from|must be followed"):
        AllowedHost.parse(entry)


NAMED = Origin("https", "rec.example.com", 443)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.5",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.5",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_inner_addresses_are_refused_behind_a_name(address):
    with pytest.raises(LinkRefused, match="its host stands for"):
        LinkRules().check_address(ipaddress.ip_address(address), NAMED)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses_are_allowed(address):
    LinkRules().check_address(ipaddress.ip_address(address), NAMED)


def test_a_network_in_the_settings_allows_its_addresses_and_no_others():
    rules = LinkRules(networks=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")))
    rules.check_address(ipaddress.ip_address("10.1.2.3"), NAMED)
    rules.check_address(ipaddress.ip_address("fd00::5"), NAMED)
    for address in ("10.2.0.1", "127.0.0.1"):
        with pytest.raises(LinkRefused):
            rules.check_address(ipaddress.ip_address(address), NAMED)


def test_no_network_opens_the_way_to_a_machines_own_metadata():
    rules = LinkRules(networks=(ipaddress.ip_network("0.0.0.0/0"),))
    with pytest.raises(LinkRefused):
        rules.check_address(ipaddress.ip_address("169.254.169.254"), NAMED)
