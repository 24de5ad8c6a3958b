"""One run in several processes, as `accelerate launch` or `torchrun` starts them: who asks what, who waits for whom.

The first process alone opens the run folder, refuses and scores; the others answer their share of the questions into
files of their own, which the first takes in. Started by itself, a process is the first of one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        from accelerate import PartialState

        state = PartialState(timeout=_PATIENCE)
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
