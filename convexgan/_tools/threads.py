"""How many threads the linear algebra uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """One, for matrices so small that threads gain little: on a busy machine they wait for each other most of the time.

    Example: @one_thread() above a function, or a with statement.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # here: it looks at all libraries that are loaded

    return ThreadpoolController()
