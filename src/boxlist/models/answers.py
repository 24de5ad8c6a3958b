"""What a model gives back for one request."""

from __future__ import annotations

from dataclasses import dataclass

LIKELIHOOD = "likelihood"
"""The finish of an answer that holds the scores of a question's options, and no text of the model's."""

OWN_ENDS = frozenset({"eos", "length", LIKELIHOOD})


@dataclass(frozen=True)
class ModelAnswer:
    """One answer as it was generated.

    `text` is what scoring reads: where a control ended the list it is cut and closed. `tokens` counts what the model
    wrote, the end-of-turn token and what a control dropped included; None where a server did not say. `finish` is
    `eos`, `length`, `likelihood` or the name of the control that ended the answer. `prompt` is the user's text as the
    model saw it, without the chat template. `frame_wh_px` is the size of the processor's resized image, for protocols
    that need it.
    """

    text: str
    tokens: int | None
    finish: str
    prompt: str
    frame_wh_px: tuple[int, int] | None = None

    @property
    def triggered(self) -> bool:
        """True where a control ended the answer."""
        return self.finish not in OWN_ENDS
