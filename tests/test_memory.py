"""How much memory there is, on the machine and in a container."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from convexgan._tools import checks as _checks
from convexgan._tools import memory


def group(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("own", "files", "limits"),
    [
        ("0::/\n", {"memory.max": "536870912\n"}, [536870912]),
        ("0::/\n", {"memory.max": "max\n"}, []),
        ("0::/a/b\n", {"memory.max": "max\n", "a/memory.max": "700\n", "a/b/memory.max": "900\n"}, [900, 700]),
        ("0::/of/the/host\n", {"memory.max": "300\n"}, [300]),  # as seen in a container
        ("5:cpu:/\n4:memory:/docker/x\n", {"memory/memory.limit_in_bytes": "200\n", "memory.max": "1\n"}, [200]),
        ("4:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, [9223372036854771712]),
        ("4:cpuset:/a\n", {"memory/a/memory.limit_in_bytes": "5\n"}, []),
        ("", {"memory.max": "1\n"}, []),
        ("strange\n\n0::/\n", {"memory.max": "\n"}, []),
    ],
)
def test_limits_of_control_groups(own: str, files: dict[str, str], limits: list[int], tmp_path: Path) -> None:
    (tmp_path / "own").write_text(own)
    assert memory.container_limits(group(tmp_path / "groups", files), tmp_path / "own") == limits


def test_where_there_are_no_control_groups_the_machine_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.container_limits(tmp_path / "none", tmp_path / "nothing") == []
    monkeypatch.setattr(memory, "container_limits", list)
    assert memory.physical_memory() == psutil.virtual_memory().total


def test_the_smaller_of_machine_and_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for limits, expected in (([2**20, 2**21], 2**20), ([2**62], psutil.virtual_memory().total)):
        monkeypatch.setattr(memory, "container_limits", lambda limits=limits: limits)
        assert memory.physical_memory() == expected
    monkeypatch.setattr(memory, "container_limits", lambda: [2**20])
    with pytest.raises(ValueError, match="this machine has 0 GiB"):
        _checks.check_memory(10_000)
