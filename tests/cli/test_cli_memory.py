"""The collector of cycles is still during imports alone, however they end."""

import gc

import pytest

from flynn.cli.memory import nothing_collected


def test_nothing_is_collected_during_imports() -> None:
    assert gc.isenabled()
    with nothing_collected():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), nothing_collected():
        raise ImportError("no such module")
    assert gc.isenabled()
