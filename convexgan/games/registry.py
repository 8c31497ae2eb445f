"""The families of games, in order of preference, and one pipeline for all: read, choose, run, judge."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from convexgan._tools.checks import check_choice
from convexgan._tools.deadline import Deadline
from convexgan.exceptions import ConvexGANError, InfeasibleError, SolverError, UnboundedError
from convexgan.games.game import Answer, Call, Family, Method, Options
from convexgan.games.mean import family as mean_games
from convexgan.games.moment import family as moment_games
from convexgan.games.sample import family as sample_games
from convexgan.games.sample.certificate import seconds_left
from convexgan.records.certificate import Certificate
from convexgan.records.solution import Solution, Status, shortfall, unsolved

FAMILIES: tuple[Family[Any], ...] = (sample_games.FAMILY, mean_games.FAMILY, moment_games.FAMILY)
STATUSES = {InfeasibleError: Status.INFEASIBLE, UnboundedError: Status.UNBOUNDED, SolverError: Status.FAILED}


def methods() -> list[str]:
    """The names of all methods, sorted."""
    return sorted({method.name for family in FAMILIES for method in family.methods})


def family_of(call: Call) -> Family[Any]:
    """The family of a call."""
    return next(family for family in FAMILIES if family.covers(call))


def chosen(call: Call, options: Options) -> tuple[str, str]:
    """The name of the method, and why."""
    _, _, method, reason = _selected(call, options)
    return method.name, reason


def _selected(call: Call, options: Options) -> tuple[Family[Any], Any, Method[Any], str]:
    """The family, the game that was read, the method, and why."""
    check_choice(options.method, "method", ("auto", *methods()))
    family = family_of(call)
    game = family.read(call)
    return family, game, *family.choose(game, options)


def solved(call: Call, options: Options, throw: bool) -> Solution:
    """The certified solution of a call; without ``throw`` its status says so where there is none."""
    family, game, method, reason = _selected(call, options)
    stats: dict[str, Any] = {"reason": reason}
    if unused := family.unused(game, method, options):
        stats["unused"] = unused
    whole, start = Deadline(options.time_limit), time.perf_counter()
    try:
        answer = method.run(game, options, whole.part(method.share))
    except ConvexGANError as error:
        if throw:
            raise
        return unsolved(STATUSES[type(error)], method.name, str(error))
    stats = answer.stats | stats | {"solve_seconds": time.perf_counter() - start}
    found = judged(replace(answer, stats=stats), method.name, options.time_limit, whole, throw)
    return found if _is_near_enough(found, method, options) else replace(found, status=Status.STOPPED)


def _is_near_enough(found: Solution, method: Method[Any], options: Options) -> bool:
    """Whether an answer that is called optimal has the gap that was asked of a method for which gaps are an option."""
    if found.status is not Status.OPTIMAL or found.certificate is None or "gap" not in method.uses:
        return True
    return options.gap is None or found.certificate.optimal() or found.certificate.gap <= options.gap


def judged(answer: Answer, method: str, limit: float | None, whole: Deadline, throw: bool) -> Solution:
    """The solution that an answer is, by the certificate computed from the data."""
    start = time.perf_counter()
    certificate, status = _certified(answer, limit, whole)
    stats = answer.stats | {"certificate_seconds": time.perf_counter() - start}
    if certificate.kind == "infeasible" and status is Status.OPTIMAL:
        # within a limit the method, or a search for the certificate, may have had no time to prove what there is
        short = limit is not None and (answer.searched or whole.over)
        status = Status.STOPPED if short else Status.FAILED
    elif certificate.optimal():
        status = Status.OPTIMAL
    if status is Status.FAILED:
        stats["message"] = answer.repair(certificate, whole) if answer.repair else f"{shortfall(certificate)}."
        if throw:
            raise SolverError(stats["message"])
    critic = replace(answer.critic, outer=answer.critic.outer * answer.unit)
    return Solution(certificate.value, status, method, answer.generator, critic, certificate, stats, answer.warnings)


def _certified(answer: Answer, limit: float | None, whole: Deadline) -> tuple[Certificate, Status]:
    """The certificate and the status; Ctrl-C ends its searches too."""
    limited = limit is not None or (answer.searched and answer.status is Status.STOPPED)
    try:
        return answer.judge(seconds_left(whole, limit) if limited else None), answer.status
    except KeyboardInterrupt:
        whole.end()
        return answer.judge(seconds_left(whole, limit)), Status.STOPPED
