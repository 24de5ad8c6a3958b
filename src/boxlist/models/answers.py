"""What a model gives back for one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ModelAnswer:
    """One answer as it was generated.

    `text` is what scoring reads: under repeat-stop it is cut and closed. `tokens` counts what the model wrote, the
    end-of-turn token and what repeat-stop dropped included. `prompt` is the user's text as the model saw it, without
    the chat template. `frame_wh_px` is the size of the processor's resized image, for protocols that need it.
    """

    text: str
    tokens: int
    finish: Literal["eos", "length", "repeat_stop"]
    prompt: str
    frame_wh_px: tuple[int, int] | None = None

    @property
    def triggered(self) -> bool:
        """True where repeat-stop ended the answer."""
        return self.finish == "repeat_stop"
