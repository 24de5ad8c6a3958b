"""One job in several processes, as `accelerate launch` or `torchrun` starts them: who does what, who waits for whom.

The first process alone opens folders, refuses what is wrong, and speaks. Started by itself, a process is the first
of one.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from boxlist.errors import BoxlistError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

# Processes end at different times; one that has died ends the others, so no wait needs a limit of its own.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Processes:
    """This process's number, from 0, and how many there are."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> Processes:
        """Meet the others, where the environment says that there are any."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        import torch
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)
        return cls(state.process_index, state.num_processes)

    def share(self, items: Sequence[T]) -> list[T]:
        """What of `items` is this process's: the same for each, whatever is done of it already."""
        return list(items[self.rank :: self.count])

    def tell(self, value: Any = None) -> Any:
        """What the first process says; the others wait for it. Comes back in all of them."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def wait(self) -> None:
        """Until every process has come here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    def any(self, here: bool) -> bool:
        """Whether it is so in any process; all must ask."""
        return any(self._gather(here))

    def first(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process, in all of them. Where it fails, the others exit."""
        told: tuple[T] | None = None
        try:
            if self.rank == 0:
                told = (work(),)
        finally:
            told = self.tell(told)
        if told is None:
            raise SystemExit(0)
        return told[0]

    def each(self, work: Callable[[], T]) -> T:
        """What `work` gives in this process. Bad input in any of them is raised in all."""
        fault: BoxlistError | None = None
        try:
            done = work()
        except BoxlistError as error:
            fault = error
        faults = [found for found in self._gather(fault) if found is not None]
        if faults:
            raise faults[0]
        return done

    @contextmanager
    def one_voice(self) -> Iterator[None]:
        """Around what ends in all processes alike: only the first says that input is bad or that it was stopped."""
        try:
            yield
        except (BoxlistError, KeyboardInterrupt):
            if self.rank == 0:
                raise
            raise SystemExit(0) from None

    def _gather(self, value: T) -> list[T]:
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        gathered: list[T] = gather_object([value])
        return gathered
