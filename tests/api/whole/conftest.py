"""One service a module, on the module's loop."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.whole.doors import Doors, open_doors


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    """A running service; a run may make two model calls before it waits."""
    async with open_doors(tmp_path_factory.mktemp("doors"), run_max_turns=2) as opened:
        yield opened
