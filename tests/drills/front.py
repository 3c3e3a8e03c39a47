"""Three servers behind a real proxy with deploy/haproxy.cfg, as drills meet them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.conftest import ROOT
from tests.drills.fleet import Member
from tests.drills.place import Place
from tests.eventually import eventually
from tests.live.redis_server import RedisServer
from tests.loopback import CLEAR, free_port


@contextmanager
def proxy(place: Path, members: list[Member]) -> Iterator[str]:
    """HAProxy before three members; gives its URL."""
    port = free_port()
    addresses = {
        f"FLYNN_{number}": member.url.removeprefix("http://") for number, member in enumerate(members, 1)
    }
    with (place / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(ROOT / "deploy" / "haproxy.cfg")],
            env={**os.environ, **addresses, "FLYNN_BIND": f"127.0.0.1:{port}"},
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


class Front(Place):
    """Three servers, a worker and a Redis behind the proxy at `url`."""

    redis: RedisServer
    url: str

    @property
    def key(self) -> str:
        return self.servers[0].key

    def asking(self) -> httpx2.AsyncClient:
        """A new client of the proxy, which sends it to whom it likes."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=70, trust_env=False, verify=CLEAR
        )

    async def open(self) -> None:
        """Wait until the proxy has found a server that is ready."""

        async def up() -> bool:
            try:
                async with self.asking() as http:
                    return (await http.get("/ready")).status_code == 200
            except httpx2.TransportError:
                return False

        await eventually(up, what="the proxy", seconds=180)
