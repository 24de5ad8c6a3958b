"""Batches drawn by another process while the model learns from the last one."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import suppress
from queue import Full
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.queues import Queue

T = TypeVar("T")
_AHEAD = 4
_POLITE = 15


def drawn_beside(draw: Callable[[], T]) -> Iterator[T]:
    """What `draw` returns, again and again without end; the process that draws ends with the iterator."""
    context = multiprocessing.get_context("fork")  # what `draw` holds need not be picklable
    queue: Queue[T] = context.Queue(_AHEAD)
    process = context.Process(target=_fill, args=(draw, queue, os.getpid()), daemon=True)
    process.start()
    try:
        while True:
            yield queue.get()
    finally:
        process.terminate()
        process.join()


def _fill(draw: Callable[[], T], queue: Queue[T], parent: int) -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the learning process may be bound to one core
    os.nice(_POLITE)
    drawn = draw()
    while os.getppid() == parent:  # it may have been killed
        with suppress(Full):
            queue.put(drawn, timeout=1)
            drawn = draw()
