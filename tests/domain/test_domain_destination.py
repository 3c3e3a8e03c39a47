"""Where the service may call on a client's word: read narrowly, judged by number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.domain.destination import Destination, Destinations, is_public, named_host

INSIDE = """
192.88.99.1
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.0.1
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.168.0.1 198.18.0.1 198.51.100.1
203.0.113.1 224.0.0.1 224.0.1.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::127.0.0.1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1
64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2001::1 2001:0:53aa:64c:0:fffe:f5ff:fffe 2001:db8::1
2002:7f00:1:: 2002:a9fe:a9fe:: fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::1%eth0
fec0::1 3fff::1 5f00::1 2001:2::1 ff02::1 ff0e::1 100::1
localhost 127.1 2130706433 0x7f000001 017700000001 1.2.3 example.com
"""

OUTSIDE = """
1.1.1.1 8.8.8.8 93.184.216.34 172.15.0.1 172.32.0.1 192.169.0.1 100.63.255.255 100.128.0.1 169.253.1.1
2606:4700:4700::1111 2a00:1450:4001:80b::200e ::ffff:8.8.8.8 64:ff9b::808:808
"""


@pytest.mark.parametrize("address", INSIDE.split())
def test_addresses_that_not_everybody_may_call(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE.split())
def test_addresses_that_everybody_may_call(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_form(address: object) -> None:
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert is_public(f"64:ff9b::{address}") == is_public(str(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "quorra.example",
        "//quorra.example/",
        "ftp://quorra.example/",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://user@quorra.example/",
        "https://user:secret@quorra.example/",
        "https://quorra.example@127.0.0.1/",
        "https://quorra.example\\@127.0.0.1/",
        "https://127.0.0.1\\.quorra.example/",
        "https://quorra.example/#x",
        "https://quorra.example:0/",
        "https://quorra.example:65536/",
        "https://quorra.example:/",
        "https://quorra.example /",
        " https://quorra.example/",
        "https://quorra.example/a b",
        "https://quorra.example/\n",
        "https://quorra.example/\r\nhost: x",
        "https://quorra.example\t/",
        "https://qüorra.example/",
        "https://quorra。example/",
        "https://quorra.example%2f@x/",
        "https://[::1/",
        "https://[::1]x/",
        "https://-quorra.example/",
        "HTTPS://quorra.example/",
        "https://quorra.example/" + "x" * 2000,
    ],
)
def test_what_could_be_read_in_two_ways_is_no_destination(url: str) -> None:
    with pytest.raises(ValueError, match="web address"):
        Destination.read(url)


def test_a_destination_is_taken_apart() -> None:
    found = Destination.read("https://Quorra.Example.:8443/a/b?c=d")
    assert (found.secure, found.host, found.port) == (True, "quorra.example", 8443)
    assert found.shown == "https://Quorra.Example.:8443/a/b?…"
    assert Destination.read("http://[::FFFF:7F00:1]").host == "::ffff:7f00:1"
    assert Destination.read("http://x").port == 80
    assert Destination.read("https://x").port == 443


@pytest.mark.parametrize(
    "url",
    [
        "http://quorra.example/",
        "http://10.0.0.5/",
        "https://10.0.0.5/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://x.localhost/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
    ],
)
def test_without_the_operators_word_only_what_is_public_and_secure_may_be_called(url: str) -> None:
    with pytest.raises(ValueError, match="FLYNN_WEBHOOK_HOSTS"):
        Destinations().check(Destination.read(url))
    host = Destination.read(url).host
    if host != "::1" and "ffff" not in host:
        Destinations.of([host]).check(Destination.read(url))


def test_a_public_one_over_https_may_be_called() -> None:
    for url in ("https://quorra.example/", "https://1.1.1.1:8443/x", "https://[2606:4700:4700::1111]/"):
        Destinations().check(Destination.read(url))


def test_a_named_host_may_be_anywhere_on_the_ports_that_were_named() -> None:
    named = Destinations.of(["quorra:8080", "Hooks.Internal", "[fd00::5]", "10.0.0.5:81"])
    trusted = (
        "http://quorra:8080/",
        "https://hooks.internal:99/",
        "http://[fd00::5]/",
        "http://10.0.0.5:81/",
    )
    for url in trusted:
        named.check(Destination.read(url))
        assert named.trusts(Destination.read(url))
    for url in ("http://quorra/", "http://quorra:8081/", "http://x.hooks.internal/", "http://10.0.0.5/"):
        with pytest.raises(ValueError, match="should be https"):
            named.check(Destination.read(url))


@pytest.mark.parametrize("host", ["", "http://x", "x/y", "x:0", "x:65536", "x:y", "*.x", "a b", "x@y"])
def test_a_named_host_is_a_host_and_nothing_more(host: str) -> None:
    with pytest.raises(ValueError, match="not a host"):
        named_host(host)
