"""Every public name says what a caller has to know: the shapes of its arrays, its errors, where a formula is from.

Public are the names that the reference of the site shows, and the public methods of their classes.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest

import convexgan as cg

ROOMS = ("convexgan", *(f"convexgan.{room}" for room in ("discriminators", "generators", *cg._ROOMS)))
ARRAYS = re.compile(r"\b(Array|NDArray|ArrayLike|Tensor)\b")
HANDED_IN = {"X", "Y", "Z", "rows", "weights", "images", "samples", "points"}  # arrays that may come as anything
OF_FILES = re.compile(r"(dict|Mapping)\[str, [^]]*\]\]?")  # arrays by name, as files have them
SHAPE = re.compile(r"\([\w*. +|]+,[^()]*\)|\((?:[a-z]|\.{3})\)|: as (?:in|for) `|are as for `")
FORMULA = re.compile(r"\^\(?[-\d]|\^\+|sum_|sqrt[ (]|\|\w\|_1|[A-Z]'[A-Z]")
SOURCE = re.compile(
    r"Source|References|arXiv|[Ee]quation|[Tt]heorem|[Ss]ection \d|\b(?:18|19|20)\d\d\b|inequality|[Ll]emma|\[HC\]|"
    r"[Bb]y definition|[Dd]erived|\[[A-Z]{2}\]"
)


def names(module: ModuleType) -> list[str]:
    """What the reference shows of a room."""
    own = [n for n, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
    return [n for n in getattr(module, "__all__", own) if not n.startswith("_")]


@cache
def public() -> dict[str, tuple[Any, Any]]:
    """Functions, classes and methods with the class they belong to, by their names."""
    found, seen = {}, set()
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in names(module):
            thing = getattr(module, name)
            if id(thing) in seen or not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            seen.add(id(thing))
            found[f"{room}.{name}"] = thing, None
            if inspect.isclass(thing):
                found |= {f"{room}.{name}.{method}": (function, thing) for method, function in methods(thing)}
    return found


def methods(kind: Any) -> Iterator[tuple[str, Any]]:
    """The public methods that a class defines itself."""
    for name, thing in vars(kind).items():
        function = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
        if inspect.isfunction(function) and not name.startswith("_"):
            yield name, function


def said(thing: Any) -> str:
    """The docstring."""
    return inspect.getdoc(thing) or ""


def takes_arrays(function: Any) -> bool:
    """Whether a parameter or what is returned is an array."""
    notes = {name: OF_FILES.sub("", str(note)) for name, note in function.__annotations__.items()}
    return any(ARRAYS.search(note) or (name in HANDED_IN and note == "Any") for name, note in notes.items())


def raised(function: Any) -> set[str]:
    """The errors that a function raises itself, without those of functions in it."""
    found, waiting = set(), list(ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Try):  # what is raised under it leaves by its handlers
            waiting += [*node.handlers, *node.orelse, *node.finalbody]
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            found.add(node.exc.func.id)
        waiting += list(ast.iter_child_nodes(node))
    return found - {"NotImplementedError"}


def no_docstring() -> list[str]:
    return [name for name, (thing, _) in public().items() if not said(thing)]


def no_shape() -> list[str]:
    """A method may leave it to its class."""
    functions = {name: pair for name, pair in public().items() if not inspect.isclass(pair[0])}
    return [
        name
        for name, (function, kind) in functions.items()
        if takes_arrays(function) and not SHAPE.search(said(function) + (said(kind) if kind else ""))
    ]


def no_error() -> list[str]:
    functions = {name: thing for name, (thing, _) in public().items() if not inspect.isclass(thing)}
    return [
        f"{name}: {', '.join(sorted(missing))}"
        for name, function in functions.items()
        if (missing := {error for error in raised(function) if error not in said(function)})
    ]


def no_source() -> list[str]:
    """A formula before the parameters; classes and methods define what they are, functions compute."""
    functions = {name: thing for name, (thing, kind) in public().items() if inspect.isfunction(thing) and kind is None}
    return [
        name
        for name, function in functions.items()
        if FORMULA.search(re.split(r"\n(?:Parameters|Examples)\n", said(function))[0])
        and not SOURCE.search(said(function))
    ]


@pytest.mark.parametrize("lacking", [no_docstring, no_shape, no_error, no_source], ids=lambda rule: rule.__name__)
def test_no_public_name_lacks(lacking: Any) -> None:
    assert lacking() == []


def test_the_rules_see_what_they_are_for() -> None:
    def taken(X: Any) -> None:
        """No shape."""
        if X is None:
            raise ValueError("none")

        def within() -> None:
            raise TypeError("not its own")

    assert takes_arrays(taken) and not SHAPE.search(said(taken)) and raised(taken) == {"ValueError"}
    assert SHAPE.search("X : (n, d) array") and SHAPE.search("the factor F (r, d) of it")
    assert FORMULA.search("sum_i p_i x_i^2") and not SOURCE.search("the sum") and SOURCE.search("Kelley, 1960")
    assert len(public()) > 400
