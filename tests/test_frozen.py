"""What the package answers is what it answered: a corpus of calls and certificates, frozen with their outcomes.

`python -m tests.frozen compare` compares every call to the last bit, on the machine that froze them; here numbers may
differ by what solvers leave, as on any other machine.
"""

from __future__ import annotations

import json
import math

import pytest

import convexgan as cg
from tests.frozen.corpus import CALLS, CERTIFICATES, SAMPLES, outcome, read

LINES, STRIDE = read(CALLS), 25
NUMBERS = ("value", "bound", "ipm", "violation", "max_min", "upper_bound")
LOCAL = ("value", "ipm", "violation", "warned")
GAP = 0.01  # with which searches that only bound a game may stop, anywhere within it
NOISE = 1e-13  # of samples whose entries are of size 1: what kernels leave of numbers that are 0
LOOSE = 1e-5  # relative, ten times the tolerance with which a certificate's kind is decided


def same(now, before, name=""):
    if isinstance(before, dict):
        assert now.keys() == before.keys(), f"{name}: {now} instead of {before}"
        size = max(
            (abs(float(before[n])) for n in NUMBERS if n in before and math.isfinite(float(before[n]))), default=0
        )
        kind = before.get("kind")
        local = before.get("method") == "fixed_patterns"  # which local optimum is found is a matter of rounding
        for key, value in before.items():
            if local and key in LOCAL:
                continue
            if key in NUMBERS:
                cut = kind in ("bounded", "infeasible") or (kind == "restricted" and key in ("bound", "max_min"))
                loose = GAP if cut else LOOSE
                assert float(now[key]) == pytest.approx(float(value), rel=loose, abs=loose * size + NOISE), (
                    f"{name}.{key}"
                )
            elif key == "stats":
                assert set(now[key]) ^ set(value) <= {"refined"}, f"{name}: {now[key]}"
            else:
                same(now[key], value, f"{name}.{key}")
    elif isinstance(before, list):
        assert len(now) == len(before), name
        for n, (one, other) in enumerate(zip(now, before, strict=True)):
            same(one, other, f"{name}[{n}]")
    else:
        assert now == before, name


@pytest.mark.parametrize("start", range(0, len(LINES), 3 * STRIDE))
def test_calls_have_the_outcomes_they_had(start):
    for line in LINES[start : start + STRIDE]:
        now = json.loads(json.dumps(outcome(line["call"])[0]))
        same(now, line["outcome"], json.dumps(line["call"]))


def test_certificates_of_every_kind_are_read_and_recomputed():
    lines = read(CERTIFICATES)
    assert len(lines) == 200
    for line in lines:
        claim = cg.records.certificate.Certificate.from_json(line["certificate"])
        found = cg.verify(claim, SAMPLES[line["X"]], tol=claim.tol)
        assert found.kind == claim.kind
        scale = max(abs(x) for x in (claim.value, claim.ipm, found.ipm) if math.isfinite(x))
        near = LOOSE * scale + found.rounding  # below which numbers are noise of the data's moments
        assert found.value == pytest.approx(claim.value, rel=LOOSE, abs=near)
        assert found.ipm == pytest.approx(claim.ipm, rel=LOOSE, abs=near)
