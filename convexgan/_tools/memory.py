"""How much memory there is: the machine's, or what its container may use."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")  # to which groups this process belongs
V1, V2 = "memory.limit_in_bytes", "memory.max"  # files of a group; "max" and numbers beyond the machine are no limit


def physical_memory() -> int:
    """Bytes of memory in this machine, or those that the process may use if they are fewer."""
    import psutil

    return min([int(psutil.virtual_memory().total), *container_limits()])


def container_limits(groups: Path = CGROUPS, own: Path = OWN) -> list[int]:
    """The limits in bytes of the control groups that hold this process, none where there are no such groups.

    A limit of any group above holds too. In a container the path of the own group may be that of the host, which is
    not there: then that of the root is the container's.

    References
    ----------
    docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html.
    """
    limits = []
    for line in _text(own).splitlines():
        _, kinds, path = [*line.split(":", 2), "", ""][:3]
        if kinds and "memory" not in kinds.split(","):
            continue
        root, name = (groups / "memory", V1) if kinds else (groups, V2)
        inside = PurePosixPath(path.lstrip("/"))
        limits += [_text(root / part / name).strip() for part in (inside, *inside.parents)]
    return [int(limit) for limit in limits if limit.isdecimal() and int(limit) > 0]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
