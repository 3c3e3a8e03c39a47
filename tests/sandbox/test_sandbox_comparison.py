"""The canaries in every backend beside the control, and the operator's toolchains."""

import json
from pathlib import Path

import pytest

from flynn.cli.sandbox_table import described, rendered
from flynn.sandbox.command import Command
from flynn.sandbox.comparison import compare_backends
from flynn.sandbox.opening import Preference, open_sandbox
from tests.conftest import has
from tests.sandbox.conftest import BACKENDS


@pytest.mark.needs("bubblewrap", "landlock")
async def test_every_canary_is_stopped_in_both_backends(tmp_path: Path) -> None:
    comparison = await compare_backends(private_root=tmp_path / "private")
    assert (comparison.active, comparison.holds) == ("bubblewrap", True)
    assert len(comparison.canaries) >= 25
    assert [contender.trial.leaks for contender in comparison.contenders] == [(), ()]
    assert comparison.control.failure is None
    assert {"read a file outside", "reach a loopback listener", "signal the service"} <= set(
        comparison.control.leaks
    )
    if has("root"):
        assert set(comparison.control.leaks) >= {
            "make a mount",
            "write to /proc/sys",
            "make a user namespace",
        }
    assert list((tmp_path / "private").iterdir()) == []
    lines = rendered(comparison)
    assert lines[0].split() == ["canary", "bubblewrap", "landlock"]
    assert lines[-1] == "Commands run in bubblewrap."
    assert not any("GOT OUT" in line for line in lines)
    told = json.loads(json.dumps(described(comparison)))
    assert (told["active"], told["holds"], told["not_tried"]) == ("bubblewrap", True, [])
    for backend in told["backends"]:
        assert backend["canaries"].keys() == set(comparison.canaries)
        assert backend["canaries"]["read a file outside"] == "stopped"


@pytest.mark.needs("landlock")
async def test_a_backend_that_leaks_is_shown_and_fails(tmp_path: Path) -> None:
    pretender = tmp_path / "bwrap"
    pretender.write_text(
        '#!/bin/bash\n[ "$1" = --help ] && exit\n[ -n "$HELD" ] || while [ "$1" != -- ]; do shift; done\n'
        'shift\nexec "$@"\n'
    )
    pretender.chmod(0o755)
    chosen = await compare_backends(private_root=tmp_path / "private", bwrap=pretender, prefer="bubblewrap")
    assert (chosen.active, chosen.holds) == (None, False)
    assert any("bubblewrap: rejected:" in line for line in rendered(chosen))
    other = await compare_backends(private_root=tmp_path / "private", bwrap=pretender)
    assert (other.active, other.holds) == ("landlock", True)


async def test_the_opt_out_never_counts_as_holding(tmp_path: Path) -> None:
    comparison = await compare_backends(private_root=tmp_path / "private", prefer="unconfined")
    assert (comparison.active, comparison.holds) == ("unconfined", False)
    assert "WITHOUT a sandbox" in rendered(comparison)[-1]


@pytest.mark.parametrize("prefer", BACKENDS)
async def test_the_operators_tools_are_found_first_and_cannot_be_changed(
    prefer: Preference, tmp_path: Path, workspace: Path
) -> None:
    toolchain = tmp_path / "toolchain"
    (toolchain / "bin").mkdir(parents=True)
    tool = toolchain / "bin" / "id"
    tool.write_text("#!/bin/sh\necho the-operators\n")
    tool.chmod(0o755)
    sandbox = await open_sandbox(private_root=tmp_path / "private", prefer=prefer, extra_readonly=[toolchain])
    script = f"id; echo x > {tool}; chmod 777 {tool}; rm -f {tool}; touch {toolchain}/new"
    done = await sandbox.run(Command(argv=("bash", "-c", script), workspace=workspace))
    assert done.output.startswith(b"the-operators\n")
    assert tool.read_text() == "#!/bin/sh\necho the-operators\n"
    assert tool.stat().st_mode & 0o777 == 0o755
    assert list(toolchain.iterdir()) == [toolchain / "bin"]
