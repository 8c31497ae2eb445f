"""Every number of every certificate beside the truth in rational arithmetic: random games of all options and units.

Claim: no certificate prints a number on the wrong side of the truth. Rows have units of 1e-8 to 1e8 and offsets to 1e9
of them, float32 and float64, some equal, some centred; latents are Gaussian or rows. A margin is what a claim allows
for rounding, as a share of the size of the data's moments (of their value: of the penalty times that, lam times the
ipm's margin included); a negative one would be false. Predicted: none is, and the median stays below 1e-11.

Example: python -m benchmarks.rigorous --quick
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable

from benchmarks._report import parse, write
from tests.exact import ENDED, Game, Outcome, law_game, moment_game, outcome

CALLS = {"moments": (moment_game, 3_000), "laws of points": (law_game, 1_000)}


def played(draw: Callable[[int], Game], count: int) -> dict[str, list[Outcome]]:
    """The outcomes of so many games by cell; what is not answered is left out."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    unanswered = {error.__name__ for error in ENDED}
    for seed in range(count):
        one = outcome(draw(seed))
        if one.kind not in unanswered:
            found[one.cell].append(one)
    return found


def main() -> None:
    """Draw, solve and compare."""
    options, table = parse(__doc__), []
    for name, (draw, count) in CALLS.items():
        for cell, games in sorted(played(draw, 60 if options.quick else count).items()):
            margins = [[game.margins[kind] for game in games] for kind in ("ipm", "value")]
            saddles = sum(game.kind == "saddle" for game in games)
            false = sum(bool(game.false) for game in games)
            worst = [figure for each in margins for figure in (min(each), statistics.median(each))]
            table.append([name, cell, len(games), saddles, false, *worst])
            print(table[-1], flush=True)
    columns = ["games", "cell", "answered", "saddles", "false", "worst margin of ipm", "median", "of value", "median "]
    write("rigorous", columns, table, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
