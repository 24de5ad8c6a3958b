"""Progress of something long, on stderr: one line that moves on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Self

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 30.0


class Progress:
    """Counts up from `done` to `total`; use as a context manager."""

    def __init__(self, label: str, total: int, done: int = 0) -> None:
        self.label, self.total, self.done = label, total, done
        self._first = done
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._shown = self._began
        self._shown_done = -1

    def __enter__(self) -> Self:
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown_done != self.done:
            self._show()
        if self._terminal:
            sys.stderr.write("\n")

    def advance(self) -> None:
        self.done += 1
        pause = _TERMINAL_SECONDS if self._terminal else _LOG_SECONDS
        if time.monotonic() - self._shown >= pause:
            self._show()

    def line(self) -> str:
        """What is shown, for instance `base: 12/80 images, 1.5/s, 0:45 left`."""
        text = f"{self.label}: {self.done}/{self.total} images"
        fresh, seconds = self.done - self._first, time.monotonic() - self._began
        if fresh and seconds > 0:
            left = round((self.total - self.done) * seconds / fresh)
            text += f", {fresh / seconds:.2g}/s, {left // 60}:{left % 60:02d} left"
        return text

    def _show(self) -> None:
        self._shown, self._shown_done = time.monotonic(), self.done
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{self.line()}")
        else:
            sys.stderr.write(self.line() + "\n")
        sys.stderr.flush()
