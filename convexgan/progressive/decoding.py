"""The first pass over pictures that are decoded meanwhile: where it is the only one, none of them need be kept."""

from __future__ import annotations

from convexgan.datasets.once import Once, OtherColor
from convexgan.progressive.passes import Journal, Phase, run_pass, silent
from convexgan.progressive.sums import FirstPass


def decode_moments(pictures: Once, phase: Phase = silent) -> FirstPass:
    """The moments of pictures at their own size, as `StageMoments` has them after its first pass.

    They are recorded beside what is known of the pictures, so that a pass that was interrupted goes on. `clear` removes
    them.
    """
    while True:
        first = FirstPass(pictures.size, pictures.size, 3 if pictures.color else 1)
        try:
            run_pass(pictures, "moments", first, _journal(pictures), lambda _, total: phase("reading pictures", total))
        except OtherColor:
            continue
        return first


def clear(pictures: Once) -> None:
    """Remove what was recorded of the pass."""
    _journal(pictures).clear()


def _journal(pictures: Once) -> Journal:
    return Journal(pictures.folder, pictures.folder.name)
