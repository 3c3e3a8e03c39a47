"""Which hosts and origins may be spoken to and from."""

import pytest

from flynn.api.addresses import Doorkeeper, is_loopback
from flynn.domain.errors import Forbidden

HOST = "127.0.0.1:8000"


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST.", "app.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]
)
def test_loopback_names(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name", ["", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "10.0.0.1", "::2", "evil"]
)
def test_other_names(name: str) -> None:
    assert not is_loopback(name)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "file://",
        "https://localhost.evil.example",
        "https://localhost@evil.example",
        "https://team.example.evil",
        "http://team.example",
        "http://[::1",
        "ftp://localhost",
        "http://",
    ],
)
def test_foreign_origins(origin: str) -> None:
    keeper = Doorkeeper(host="127.0.0.1", allowed_origins=["https://team.example"])
    with pytest.raises(Forbidden, match="FLYNN_ALLOWED_ORIGINS"):
        keeper.check(HOST, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:5173",
        "https://127.0.0.1",
        "http://[::1]:9",
        "https://Team.example",
        f"http://{HOST}",
    ],
)
def test_welcome_origins(origin: str) -> None:
    Doorkeeper(host="127.0.0.1", allowed_origins=["https://team.example"]).check(HOST, origin)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.1:8000", "[::2]:1"])
def test_on_loopback_other_hosts_are_refused(host: str) -> None:
    keeper = Doorkeeper(host="localhost", allowed_origins=["https://team.example:444"])
    with pytest.raises(Forbidden, match="localhost"):
        keeper.check(host, "")
    Doorkeeper(host="0.0.0.0", allowed_origins=[]).check(host, "")


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.2", "[::1]:80", "team.example", ""])
def test_on_loopback_these_hosts_will_do(host: str) -> None:
    Doorkeeper(host="::1", allowed_origins=["https://team.example:444"]).check(host, "")


def test_a_page_of_the_same_host_is_at_home_and_needs_no_headers() -> None:
    keeper = Doorkeeper(host="0.0.0.0", allowed_origins=[])
    keeper.check("flynn.example", "https://flynn.example")
    keeper.check("flynn.example:443", "https://flynn.example")
    assert not keeper.foreign("flynn.example", "https://flynn.example")
    assert keeper.foreign("flynn.example", "https://team.example")
    with pytest.raises(Forbidden):
        keeper.check("flynn.example", "https://flynn.example:8443")
