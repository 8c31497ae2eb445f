"""Passes on a Dask cluster: sums over parts of the pictures, added in pairs.

Which pictures a part holds and which sums are added is fixed, so the result depends neither on how many workers there
are nor on which of them die: Dask computes again what they held, and every bit comes out the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

BLOCKS = 8  # in a part
PATIENCE = 10.0  # seconds for a scheduler to answer


def accumulate(client: Any, pictures: Any, accumulator: Any, start: int, advance: Callable[[int], object]) -> int:
    """Add all blocks of pictures, from the given one on, to an accumulator, and return how many pictures that were.

    Parameters
    ----------
    client : distributed.Client
        Its workers must see the files of a `convexgan.datasets.Cache` under the same path.
    pictures : Pictures
    accumulator : Accumulator
    start : int
    advance : callable
        Called with the number of pictures done.
    """
    from distributed import as_completed

    with warnings.catch_warnings():
        # they are part of the graph on purpose: what is scattered is lost together with the worker that holds it
        warnings.filterwarnings("ignore", message="Sending large graph")
        source, empty = (client.submit(_given, thing, pure=False) for thing in (pictures, accumulator.empty()))
    cuts = [(i, min(i + BLOCKS, pictures.parts)) for i in range(start, pictures.parts, BLOCKS)]
    sums = [client.submit(_sum, source, empty, *cut, pure=False) for cut in cuts]
    counts = [client.submit(_count, part, pure=False) for part in sums]
    while len(sums) > 1:
        pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
        sums = [client.submit(_added, *pair, pure=False) if len(pair) == 2 else pair[0] for pair in pairs]
    seen = 0
    for _, count in as_completed(counts, with_results=True):  # type: ignore[no-untyped-call]
        advance(count)
        seen += count
    accumulator.add(sums[0].result()[0])
    return seen


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address, or with "local" of processes on this machine, one for each core."""
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("clusters need Dask: pip install 'convexgan[dask]'.", name=error.name) from None
    if address == "local":
        options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(**options) as here, Client(here) as client:  # type: ignore[no-untyped-call]
            yield client
        return
    try:
        client = Client(address, timeout=PATIENCE)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address!r} ({error}): pass its address, or local.") from None
    with client:
        yield client


def _given(thing: Any) -> Any:
    return thing


def _sum(pictures: Any, empty: Any, start: int, stop: int) -> tuple[Any, int]:
    """What an accumulator has after some blocks, and how many pictures they hold."""
    part, seen = empty.empty(), 0
    for block in islice(pictures.blocks(start), stop - start):
        part.update(block)
        seen += len(block)
    part.finish()
    return part, seen


def _count(part: tuple[Any, int]) -> int:
    return part[1]


def _added(one: tuple[Any, int], other: tuple[Any, int]) -> tuple[Any, int]:
    """The sum of two parts; neither is changed, since Dask may need them again."""
    both = one[0].empty()
    both.add(one[0])
    both.add(other[0])
    return both, one[1] + other[1]
