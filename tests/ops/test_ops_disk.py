"""How full the disks are: as df counts it, by place, and never waited for."""

import shutil
import threading
from pathlib import Path

import pytest

from flynn.ops import disk
from flynn.ops.disk import PLACES, Disks, used_ratio


def test_a_place_is_as_full_as_df_says(tmp_path: Path) -> None:
    of_all = shutil.disk_usage(tmp_path)
    found = used_ratio(tmp_path)
    assert found is not None
    assert found == pytest.approx(of_all.used / (of_all.used + of_all.free), abs=0.02)


def test_of_several_directories_the_fullest_counts_and_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    ratios = Disks(
        {
            "data": (tmp_path,),
            "volumes": (tmp_path, Path("/proc"), tmp_path / "missing"),
            "backups": (tmp_path / "missing",),
            "workspaces": (),
        }
    ).ratios(within=10.0)
    assert set(ratios) == {"data", "volumes"}
    assert set(ratios) <= set(PLACES)
    assert ratios["volumes"] == pytest.approx(ratios["data"], abs=0.02)


def test_a_place_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, asked = threading.Event(), []

    def slow(path: Path) -> float:
        asked.append(path)
        if path == tmp_path / "nfs":
            hangs.wait()
        return 0.5

    monkeypatch.setattr(disk, "used_ratio", slow)
    disks = Disks({"data": (tmp_path,), "volumes": (tmp_path / "nfs",)})
    try:
        assert disks.ratios(within=2.0) == {"data": 0.5}
        assert disks.ratios(within=2.0) == {"data": 0.5}
        assert asked.count(tmp_path / "nfs") == 1, "one thread hangs, not one for each scrape"
    finally:
        hangs.set()
    disks._asking["volumes"].join()
    assert disks.ratios(within=10.0) == {"data": 0.5, "volumes": 0.5}
