"""Freeze the corpus, or compare the package with it to the last bit.

python -m tests.frozen compare            what differs from the frozen outcomes; exit code 1 if anything does
python -m tests.frozen accept             write the outcomes of the same calls anew, after differences were read
python -m tests.frozen draw               draw calls and certificates anew (slow ones are left out)
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from typing import Any

from convexgan.records.certificate import Certificate
from tests.frozen.corpus import CALLS, CERTIFICATES, Outcome, drawn, outcome, read

COUNT, KEPT, OF_A_KIND, SLOW = 1500, 200, 60, 1.5  # calls, certificates in all and of one kind, seconds
PATIENCE = 120.0  # seconds for calls that are in the corpus: a busy machine loses none
ERRORS = 0.4  # share of the calls that may be errors


class Late(BaseException):
    """A call that takes too long to be one of the corpus."""


def timed(call: dict[str, Any], seconds: float) -> tuple[Outcome, list[Certificate]]:
    """The outcome, or Late after so many seconds."""

    def late(*_: Any) -> None:
        raise Late

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return outcome(call)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def draw() -> None:
    """Draw calls and certificates anew."""
    lines, certificates, kinds, seen, errors = [], [], Counter[str](), set[str](), 0
    calls = drawn()
    while len(lines) < COUNT:
        call = next(calls)
        try:
            found, proofs = timed(call, SLOW)
        except Late:
            continue
        line = json.dumps({"call": call, "outcome": found})
        if line in seen or ("error" in found and errors > ERRORS * len(lines)):
            continue
        seen.add(line)
        lines.append(line)
        errors += "error" in found
        for proof in proofs:
            family = f"{proof.kind} {sorted(proof.evidence.arrays)}" if proof.evidence else proof.kind
            if len(certificates) < KEPT and kinds[family] < OF_A_KIND and of_its_class(call):
                kinds[family] += 1
                certificates.append(json.dumps({"X": call["X"], "certificate": proof.to_json()}))
    CALLS.write_text("\n".join(lines) + "\n")
    CERTIFICATES.write_text("\n".join(certificates) + "\n")
    print(f"{len(lines)} calls, {errors} of them errors; {len(certificates)} certificates: {dict(kinds)}")


def of_its_class(call: dict[str, Any]) -> bool:
    """Whether the law is the image of the latents: rows beside Gaussian latents need not be, which `verify` refuses."""
    return not (call["verb"] == "certify" and str(call.get("Z")).startswith("gauss"))


def again(call: dict[str, Any]) -> Outcome | None:
    """The outcome now, None if it takes too long."""
    try:
        return dict(json.loads(json.dumps(timed(call, PATIENCE)[0])))
    except Late:
        return None


def accept() -> None:
    """Write the outcomes of the same calls anew, but for those that take too long now."""
    found = [{"call": line["call"], "outcome": again(line["call"])} for line in read(CALLS)]
    CALLS.write_text("".join(json.dumps(line) + "\n" for line in found if line["outcome"] is not None))


def compare() -> int:
    """Print what differs."""
    lines, found = read(CALLS), Counter[str]()
    for line in lines:
        now, before = again(line["call"]) or {"error": "Late"}, line["outcome"]
        names = sorted(name for name in now | before if now.get(name) != before.get(name))
        if names:
            found[", ".join(names)] += 1
            show(line["call"], {n: before.get(n) for n in names}, {n: now.get(n) for n in names})
    print(f"{len(lines)} calls: {len(lines) - found.total()} equal, {found.total()} differ")
    for parts, count in found.most_common():
        print(f"  {count:5} in {parts}")
    return int(bool(found))


def show(call: dict[str, Any], before: dict[str, Any], now: dict[str, Any]) -> None:
    """One difference, on three lines."""
    print(json.dumps(call), f"\n    was {json.dumps(before)}\n    is  {json.dumps(now)}", flush=True)


if __name__ == "__main__":
    sys.exit({"draw": draw, "accept": accept, "compare": compare}[sys.argv[1] if len(sys.argv) > 1 else "compare"]())
