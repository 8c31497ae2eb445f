"""Whether what is claimed agrees with what was recomputed from the data."""

from __future__ import annotations

from convexgan.discriminators import CLASSES
from convexgan.games.judge import DUAL, JENSEN, LINEAR, NOTHING, ORIGIN, RISING
from convexgan.records.certificate import Agreement, Certificate

NUMBERS = ("value", "bound", "gap", "ipm", "violation", "relative_violation", "max_min")
COMPARED = (*NUMBERS, "kind", "min_neurons", "origin")
BOUNDS = ("ipm", "violation")  # upper bounds, where eigenvalues come from an iteration
# the sign of a claim less what a search against ReLU neurons proves where less is claimed than proved
MODEST = dict.fromkeys(("gap", "ipm", "violation", "relative_violation"), 1) | dict.fromkeys(("bound", "max_min"), -1)
# origins of bounds on such games: a limit decides which is best
SEARCHED = {ORIGIN, NOTHING, JENSEN, LINEAR, RISING, DUAL}
PROVED = ("infeasible", "bounded", "minimax", "saddle")  # kinds that prove more and more
TOLERANCE = 1e-6


def agreement(claim: Certificate, found: Certificate) -> Agreement:
    """The names of what differs from a claim, and of what is proved to be better than claimed.

    Numbers agree if they differ by at most 1e-6 of the value's scale, ipm and violation of that in which violations are
    relative if that is larger; kind, width and the bound's origin must be the same, though a width need not be claimed.
    A claimed upper bound may lie above what is found by the eigenvalue error it says it allows for, and below by the
    referee's own. Against ReLU neurons, where limits end searches, a claim holds if no more is claimed than is found.
    """
    differing: list[str] = []
    better: list[str] = []
    for name in NUMBERS:
        if not _same(name, claim, found):
            modest = _modest(claim).get(name, 0) * (getattr(claim, name) - getattr(found, name)) > 0
            (better if modest else differing).append(name)
    searched = bool(_modest(claim))
    if claim.kind != found.kind:
        known = searched and claim.kind in PROVED and found.kind in PROVED
        modest = known and PROVED.index(claim.kind) < PROVED.index(found.kind)
        (better if modest else differing).append("kind")
    if claim.min_neurons != found.min_neurons:  # None is no claim, but beside "minimax": no width
        (better if claim.min_neurons is None and claim.kind != "minimax" else differing).append("min_neurons")
    if claim.origin != found.origin:
        (better if searched and claim.origin in SEARCHED else differing).append("origin")
    return Agreement(tuple(differing), tuple(better))


def _same(name: str, claim: Certificate, found: Certificate) -> bool:
    """Whether a number is the one found, but for what rounding and eigenvalue errors allow."""
    a, b, scale = getattr(claim, name), getattr(found, name), _units(found).get(name, 1.0)
    slack = max(TOLERANCE * scale, found.rounding)
    above, below = (slack + c.eigenvalue_error * (name in BOUNDS) for c in (claim, found))
    return bool(a == b or -below <= a - b <= above)  # so written, NaN differs


def _units(found: Certificate) -> dict[str, float]:
    """The units in which numbers are compared: not in those of the claim, in whose units any bound would be near."""
    value, ipm = abs(found.value), found.ipm
    if found.relative_violation > 0:
        ipm = max(ipm, found.violation / found.relative_violation)
    return {"value": value, "bound": value, "max_min": value, "ipm": ipm, "violation": ipm}


def _modest(claim: Certificate) -> dict[str, int]:
    """`MODEST` for the numbers that searches prove; empty in games that need none."""
    game = {} if claim.evidence is None else claim.evidence.settings
    spec = CLASSES.get(str(game.get("activation")))
    if spec is None or spec.needs != "rows":
        return {}
    return MODEST | ({} if game.get("lam") is None else {"value": 1})  # priced, it contains the ipm
