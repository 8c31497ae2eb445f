"""The benchopt folder: its classes play together, with a stand-in for benchopt that has the names of its classes."""

from __future__ import annotations

import itertools
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

import convexgan as cg

FOLDER = Path(__file__).parents[1] / "benchmarks" / "benchopt"
SOLVERS = sorted(path.name for path in (FOLDER / "solvers").glob("*.py"))


class Base:
    """What benchopt's base classes do with parameters: make them attributes."""

    def __init__(self, **chosen):
        vars(self).update({name: values[0] for name, values in getattr(self, "parameters", {}).items()} | chosen)

    def skip(self, **given):
        return False, None


@pytest.fixture
def classes(monkeypatch):
    """A function from a file of the folder to its class."""
    package, criteria = ModuleType("benchopt"), ModuleType("benchopt.stopping_criterion")
    for name in ("BaseObjective", "BaseDataset", "BaseSolver"):
        setattr(package, name, Base)
    criteria.NoCriterion = criteria.SingleRunCriterion = object
    monkeypatch.setitem(sys.modules, "benchopt", package)
    monkeypatch.setitem(sys.modules, "benchopt.stopping_criterion", criteria)
    return lambda file, name: runpy.run_path(str(FOLDER / file))[name]


def evaluated(classes, instance, solver, steps):
    """Errors at the start and after so many steps; None if the solver skips the instance."""
    objective, errors = classes("objective.py", "Objective")(), []
    objective.set_data(**classes("datasets/suite.py", "Dataset")(instance=instance).get_data())
    if solver.skip(**objective.get_objective())[0]:
        return None
    solver.set_objective(**objective.get_objective())
    for limit in (0, steps):
        count = itertools.count()
        solver.run(lambda count=count, limit=limit: next(count) < limit)
        errors.append(objective.evaluate_result(**solver.get_result()))
    assert objective.evaluate_result(**objective.get_one_result())["value"] > 0
    return errors


@pytest.mark.parametrize("file", [file for file in SOLVERS if file != "exact.py"])
def test_every_solver_gets_nearer_with_every_method(classes, file):
    made = classes(f"solvers/{file}", "Solver")
    (_, names), _ = made.parameters.items()
    for name in names:
        for instance in ("linear/00", "kernel/00"):
            solver = made(**{next(iter(made.parameters)): name})
            first, last = evaluated(classes, instance, solver, 150)
            assert last["value"] < 0.95 * first["value"], (name, instance)


def test_the_exact_solver_is_at_the_optimum_and_skips_what_it_cannot_solve(classes):
    solver = classes("solvers/exact.py", "Solver")
    skipped = 0
    for instance in classes("datasets/suite.py", "Dataset").parameters["instance"]:
        found = evaluated(classes, instance, solver(), 1)
        skipped += found is None
        assert found is None or found[-1]["value"] < 1e-5
    assert skipped == 5


def test_the_instances_are_of_the_suite_and_of_every_family(classes):
    chosen = classes("datasets/suite.py", "Dataset").parameters["instance"]
    assert set(chosen) <= set(cg.problems.suite())
    assert {name.split("/")[0] for name in chosen} == set(cg.problems.families())
