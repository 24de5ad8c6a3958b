"""`boxlist`, on the first eight images of a training split, in one of several processes.

`accelerate launch` runs it as it is. A fork server, which has imported all that is slow, gives it `LAUNCHED`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from boxlist.adapters_training import train as training
from boxlist.cli import main
from boxlist.tasks.datasets.catalog import documents

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = 8


class Launched(NamedTuple):
    """What a launcher gives a process: its environment, its words, and where its output goes."""

    environment: dict[str, str]
    words: list[str]
    output: Path


def enter(launched: Launched) -> None:
    """Become what a launcher would have started."""
    os.environ.update(launched.environment)
    sys.argv[1:] = launched.words
    with launched.output.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def take_gloo_for_gpus() -> None:
    """accelerate shares out weights among GPUs only, though torch can among CPUs: let it take these for those."""
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    begin = PartialState.__init__

    def begin_as_gpus(state: Any, *given: Any, **named: Any) -> None:
        begin(state, *given, **named)
        if state.distributed_type == DistributedType.MULTI_CPU:
            state.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = begin_as_gpus


if __name__ == "__main__":
    if "LAUNCHED" in globals():
        enter(Launched(*globals()["LAUNCHED"]))
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        take_gloo_for_gpus()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "documents", lambda *given: documents(*given)[:IMAGES])
        sys.exit(main())
