"""Waiting for what another process does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable


def wait_for(happens: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Return once it happens; fail if a minute passes before, or the process ends."""
    end = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < end and (process is None or process.poll() is None)
        time.sleep(0.002)
