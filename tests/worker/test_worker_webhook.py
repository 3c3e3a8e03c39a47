"""One post: to where it may go and nowhere else, with the certificate looked at."""

import datetime
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flynn.domain.callback import new_secret
from flynn.domain.destination import Destinations
from flynn.worker.webhook import AddressRefused, Guard, Post, Webhooks
from tests.worker.receiver import receiving


def post(url: str) -> Post:
    return Post(message_id="msg_1", url=url, body="{}", secret=new_secret())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for `localhost` that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place = tmp_path_factory.mktemp("tls") / "localhost.pem"
    place.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return place


def answering(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_https_is_spoken_with_whoever_can_prove_its_name(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    named = Destinations.of(["localhost", "127.0.0.1"])
    async with receiving(tls=answering(certificate)) as receiver:
        assert (await Webhooks(named, tls=trusting)(post(receiver.url))).outcome == "delivered"
        stranger = await Webhooks(named)(post(receiver.url))
        assert (stranger.outcome, "certificate" in stranger.detail) == ("failed", True)
        misnamed = await Webhooks(named, tls=trusting)(post(f"https://127.0.0.1:{receiver.port}/"))
        assert (misnamed.outcome, "certificate" in misnamed.detail) == ("failed", True)
        assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::1"]],
)
async def test_a_name_that_leads_inside_is_not_called(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int, *_: object, **__: object) -> list[Any]:
        """The name server is outside of the house, and a client's own may say anything."""
        asked.append(host)
        assert threading.current_thread().name.startswith("flynn-lookup"), "not where tools read files"
        kinds = [socket.AF_INET6 if ":" in a else socket.AF_INET for a in addresses]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port))
            for kind, address in zip(kinds, addresses, strict=True)
        ]

    made: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(Guard, "socket", lambda *_: made.append(1))
    answer = await Webhooks(Destinations())(post("https://rebind.example/"))
    assert answer.outcome == "refused"
    assert "is no public address" in answer.detail
    assert asked == ["rebind.example"]
    assert made == []


async def test_what_a_name_led_to_is_judged_again_where_the_socket_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(self: Guard, host: str, port: int = 0, family: int = 0) -> list[Any]:
        """Whatever went wrong before."""
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 6, "flags": 0}]

    monkeypatch.setattr(Guard, "resolve", resolve)
    async with receiving() as receiver:
        url = f"https://rebind.example:{receiver.port}/"
        answer = await Webhooks(Destinations())(post(url))
        assert answer.outcome == "refused"
        assert "127.0.0.1, which is no public address" in answer.detail
        assert receiver.got == []


def test_sockets_are_made_for_public_addresses_only() -> None:
    guard = Guard(trusted=False)
    for address in ("127.0.0.1", "10.1.2.3", "169.254.169.254"):
        with pytest.raises(AddressRefused):
            guard.socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)))
        assert guard.refused == address
    guard.socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))).close()
    Guard(trusted=True).socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 443))).close()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "https://localhost/", "https://[::1]/", "not an address"]
)
async def test_what_the_operator_no_longer_names_is_refused(url: str) -> None:
    answer = await Webhooks(Destinations())(post(url))
    assert answer.outcome == "refused"
    assert answer.detail.startswith("The address should be")


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        answer = await Webhooks(Destinations.of(["127.0.0.1"]))(post(receiver.url))
        assert answer.outcome == "delivered"
        assert (len(proxy.got), len(receiver.got)) == (0, 1)


async def test_an_unknown_name_is_told_in_words() -> None:
    answer = await Webhooks(Destinations())(post("https://no-such-host.invalid/"))
    assert answer == type(answer)("failed", "The host's name leads to no address.")


async def test_what_a_header_may_not_hold_does_not_get_out() -> None:
    huge = b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"
    async with receiving(huge, b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No\r\n\r\n") as receiver:
        hooks = Webhooks(Destinations.of(["127.0.0.1"]))
        assert (await hooks(post(receiver.url))).outcome == "failed"
        assert (await hooks(post(receiver.url))).outcome == "delivered"
