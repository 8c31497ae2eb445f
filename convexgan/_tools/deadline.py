"""When searches have to return what they have found."""

from __future__ import annotations

import math
import time


class Deadline:
    """The end of a search: seconds from now, or Ctrl-C.

    Parameters
    ----------
    seconds : float, optional
        No limit by default.
    within : Deadline, optional
        That of the search of which this one is a part.
    """

    def __init__(self, seconds: float | None = None, within: Deadline | None = None) -> None:
        self._at, self._within = math.inf if seconds is None else time.monotonic() + seconds, within

    @property
    def left(self) -> float | None:
        """Seconds, None without a limit."""
        end = self._end
        return None if end == math.inf else max(end - time.monotonic(), 0.0)

    @property
    def _end(self) -> float:
        return self._at if self._within is None else min(self._at, self._within._end)

    @property
    def over(self) -> bool:
        """Whether no seconds are left."""
        return self.left == 0

    @property
    def half(self) -> float | None:
        """The seconds that one of several searches may take."""
        return None if self.left is None else self.left / 2

    def part(self, share: float) -> Deadline:
        """A share of what is left."""
        return Deadline(None if self.left is None else share * self.left, self)

    def end(self) -> None:
        """End the search, and that of which it is a part, now."""
        self._at = -math.inf
        if self._within is not None:
            self._within.end()
