"""Methods of one's own go on from checkpoints whatever they remember, or are refused at their first step."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from convexgan.torch import LinearGenerator, Objective, TwoLayerDiscriminator, register_memory, train
from convexgan.torch.memory import pack_tree
from convexgan.updates import State, simultaneous
from convexgan.updates.game import descend, move, pair
from tests.documents import ROOT

X = np.random.default_rng(0).standard_normal((40, 4)) * [3, 2, 1, 0.5]


@register_memory
class Pair(NamedTuple):
    count: int
    last: Any


@register_memory
@dataclass
class Record:
    count: int
    last: Any


class Optimizer:
    def __init__(self, count: int, last: Any) -> None:
        self.count, self.last = count, last


register_memory(Optimizer, lambda held: (held.count, held.last), lambda tree: Optimizer(*tree))


class Unknown(NamedTuple):
    count: int
    last: Any


@dataclass
class UnknownRecord:
    count: int
    last: Any


class UnknownOptimizer(Optimizer):
    pass


KEPT: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {
    "tuple": (lambda n, g: (n, g), lambda m: m),
    "list": (lambda n, g: [n, [g]], lambda m: (m.append(0), (m[0], m[1].pop()))[1]),
    "dict": (lambda n, g: {"count": n, 3: g, (1, "a"): None}, lambda m: (m["count"], m[3], m[1, "a"])[:2]),
    "numpy": (
        lambda n, g: (np.int64(n), [part.numpy() for part in g]),
        lambda m: (int(m[0]) + m[0].dtype.itemsize - 8, tuple(map(torch.from_numpy, m[1]))),
    ),
    "infinite": (lambda n, g: (n, g, float("inf"), None, True, "a"), lambda m: m[:2] if m[2] > 1 else None),
    "named tuple": (Pair, lambda m: (m.count, m.last)),
    "dataclass": (Record, lambda m: (m.count, m.last)),
    "object": (Optimizer, lambda m: (m.count, m.last)),
    "nested": (lambda n, g: {"a": [Pair(n, Record(0, g))]}, lambda m: (m["a"][0].count, m["a"][0].last.last)),
}
REFUSED = {kind.__name__: kind for kind in (Unknown, UnknownRecord, UnknownOptimizer)} | {"set": lambda *_: {1}}


def remembering(make: Callable[..., Any], read: Callable[[Any], Any]) -> Callable[..., State]:
    """Steps with momentum, whose rate falls with their number."""

    def step(game: Any, state: State, rates: Any) -> State:
        count, last = (0, None) if state.memory is None else read(state.memory)
        a, b = (rate / (1 + count) for rate in pair(rates))
        x, y = game.gradients(state.x, state.y)
        x = x if last is None else tuple(now + 0.5 * before for now, before in zip(x, last, strict=True))
        return State(descend(state.x, a, x), move(state.y, b, y), make(count + 1, x))

    return step


def go(path: Path | None, steps: int, method: Any, **options: Any) -> torch.Tensor:
    torch.manual_seed(0)
    G, D = LinearGenerator(4, 4), TwoLayerDiscriminator(4, 6, "quadratic")
    given = {"every": 5, "batch": 8} | options
    train(G, D, X, None, Objective(lam=1.0), method=method, steps=steps, checkpoint=path, **given)
    return G.weights.detach().clone()


@pytest.mark.parametrize("kind", KEPT)
def test_whatever_is_remembered_goes_on_bit_for_bit(kind, tmp_path):
    go(tmp_path / "run", 10, remembering(*KEPT[kind]))
    went_on = go(tmp_path / "run", 20, remembering(*KEPT[kind]))
    assert torch.equal(went_on, go(None, 20, remembering(*KEPT[kind])))
    assert not torch.equal(went_on, go(None, 20, remembering(*KEPT[kind]), rng=1))


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_checkpoint_holds_is_refused_at_the_first_step(name, tmp_path):
    taken = []

    def step(game: Any, state: State, rates: Any) -> State:
        taken.append(1)
        return simultaneous(game, state, rates)._replace(memory=(1, REFUSED[name](0, None)))

    with pytest.raises(ValueError, match=f"remembers a {name}, which no checkpoint can hold: declare it by"):
        go(tmp_path / "run", 20, partial(step))
    assert len(taken) == 1 and not (tmp_path / "run").exists()
    go(None, 3, step)  # without a checkpoint a method may remember anything


class Counting:
    """A step that remembers in itself."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, game: Any, state: State, rates: Any) -> State:
        self.count += 1
        return simultaneous(game, state, rates)


def test_a_method_that_changes_itself_is_refused_at_the_first_step(tmp_path):
    with pytest.raises(ValueError, match="changes itself from step to step"):
        go(tmp_path / "run", 20, Counting())
    assert not (tmp_path / "run").exists()
    go(None, 3, Counting())


class Scaled:
    """A step with settings."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def __call__(self, game: Any, state: State, rates: Any) -> State:
        return simultaneous(game, state, tuple(float(np.sum(self.factor)) * rate for rate in pair(rates)))

    def step(self, game: Any, state: State, rates: Any) -> State:
        return self(game, state, rates)


def enclosing(factor: Any) -> Any:
    return lambda game, state, rates: simultaneous(game, state, tuple(factor * rate for rate in pair(rates)))


PAIRS = {
    "object": (lambda: Scaled(0.5), lambda: Scaled(0.25)),
    "array": (lambda: Scaled(np.array([0.5, 0.1])), lambda: Scaled(np.array([0.5, 0.2]))),
    "method": (lambda: Scaled(0.5).step, lambda: Scaled(0.25).step),
    "closure": (lambda: enclosing(0.5), lambda: enclosing(0.25)),
    "code": (lambda: lambda *given: simultaneous(*given), lambda: lambda *given: simultaneous(*given[:3])),
    "positional": (lambda: partial(Scaled.step, Scaled(0.5)), lambda: partial(Scaled.step, Scaled(0.25))),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_methods_are_the_same_by_what_they_are(kind, tmp_path):
    this, other = PAIRS[kind]
    go(tmp_path / "run", 10, this())
    with pytest.raises(ValueError, match="is of another run, whose method was"):
        go(tmp_path / "run", 20, other())
    assert torch.equal(go(tmp_path / "run", 20, this()), go(None, 20, this()))


def test_a_method_has_the_same_text_in_every_process():
    code = (
        "from tests.test_torch_memory import PAIRS; from convexgan.torch.identity import described;"
        "print([described(this()) for this, _ in PAIRS.values()], described({'a', 'b', 'c'}))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1 and "0x" not in texts.pop()


def test_what_cannot_be_declared_is_said():
    with pytest.raises(ValueError, match="Counting is no named tuple or dataclass: pass pack"):
        register_memory(Counting)
    with pytest.raises(ValueError, match="remembers a complex"):
        pack_tree([1j], {})


def test_a_checkpoint_of_a_class_that_is_not_declared_says_so(tmp_path, monkeypatch):
    method = remembering(*KEPT["named tuple"])
    go(tmp_path / "run", 10, method)
    monkeypatch.setattr("convexgan.torch.memory._DECLARED", {})
    with pytest.raises(ValueError, match=r"cannot be read, it holds a .*test_torch_memory\.Pair: declare it by"):
        go(tmp_path / "run", 20, method)
