"""What a training says while it runs, and how it stops when it is asked to."""

from __future__ import annotations

import math
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from boxlist.adapters_training.checkpoints import mark_complete
from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from boxlist.processes import Processes

_LINES = 20  # progress lines of a training whose output is no terminal


class StopRequest:
    """Set by the first Ctrl-C (or SIGTERM): the training ends after the step under way, with a checkpoint."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        self.asked = True

    @contextmanager
    def on_signals(self, out: TextIO) -> Iterator[None]:
        """Listen for signals; a second one interrupts at once. Only the main thread can listen; others do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(*_: object) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.ask()
            print("\nstopping after this step, with a checkpoint (again: at once)", file=out, flush=True)

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Watch(TrainerCallback):  # type: ignore[misc] # transformers is not typed
    """Prints loss, step and time left; marks checkpoints once they are whole; passes a stop request on.

    A stop that is asked of one process is one for all: they take every step together.
    """

    def __init__(self, out: TextIO, stop: StopRequest, processes: Processes) -> None:
        self.out, self.stop, self.processes = out, stop, processes
        self._started: tuple[float, int] | None = None

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if self._started is None:
            self._started = (time.monotonic(), state.global_step)

    def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
        if self.processes.any(self.stop.asked):
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        self.processes.wait()
        if self.processes.rank == 0:
            mark_complete(Path(args.output_dir), state.global_step)

    def on_log(self, args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" not in logs or self._started is None:
            return
        step, total = state.global_step, state.max_steps
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"training in {args.output_dir}",
                expected="a finite loss",
                got=f"{logs['loss']} at step {step}",
                remedy="Train with a lower learning_rate or more warmup_steps.",
            )
        started, first = self._started
        seconds = (time.monotonic() - started) / max(step - first, 1)
        left = round(seconds * (total - step))
        line = (
            f"train {step}/{total}  loss {logs['loss']:.3f}  {seconds:.1f} s a step  {left // 60}:{left % 60:02d} left"
        )
        if self.out.isatty():
            print(f"\r{line}  ", end="\n" if step == total else "", file=self.out, flush=True)
        elif step % max(1, total // _LINES) == 0 or step == total:
            print(line, file=self.out, flush=True)
