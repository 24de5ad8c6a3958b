"""Many questions under way at once, for engines that make their own batches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from boxlist.models.answers import ModelAnswer
    from boxlist.models.batches import Question

    Answered = tuple[int, ModelAnswer]
    Flying = set[asyncio.Task[Answered]]


def as_they_finish(
    loop: asyncio.Runner,
    questions: Iterable[Question],
    ask: Callable[[Question], Coroutine[None, None, Answered]],
    most: int,
) -> Iterator[Answered]:
    """What `ask` gives for each question, in the order of finishing, at most `most` being under way.

    When one question fails, no other is begun, those under way are yielded as they finish, and then the failure is
    raised. Closing the iterator cancels what is under way.
    """
    waiting, failed = iter(questions), list[BaseException]()
    flying: Flying = set()

    async def next_finished() -> Flying:
        while not failed and len(flying) < most and (question := next(waiting, None)):
            flying.add(asyncio.create_task(ask(question)))
        if not flying:
            return set()
        finished, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
        flying.difference_update(finished)
        return finished

    try:
        while finished := loop.run(next_finished()):
            failed += [error for task in finished if (error := task.exception())]
            yield from [task.result() for task in finished if not task.exception()]
    finally:
        loop.run(_cancelled(flying))
    if failed:
        raise failed[0]


def refuse_batch_size(engine: str, batch_size: int | str) -> None:
    """Raise `InputError` for any batch size but 1, lmms-eval's default."""
    if str(batch_size) != "1":
        raise InputError(
            f"{engine}: batch_size",
            expected="1",
            got=repr(batch_size)[:40],
            remedy="concurrency= says how many images are asked about at a time.",
        )


async def _cancelled(flying: Flying) -> None:
    for task in flying:
        task.cancel()
    await asyncio.gather(*flying, return_exceptions=True)
