"""What a training must know of a loaded base: the tokens that end its answers, and the size it gives to images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError
from boxlist.models.prompts import open_rgb
from boxlist.protocols import SizeWH

if TYPE_CHECKING:
    from collections.abc import Callable

    from boxlist.tasks.datasets.split_folder import Document


def stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end generation at evaluation: the checkpoint's, or the tokenizer's where it names none."""
    configured = model.generation_config.eos_token_id
    if configured is None:
        configured = tokenizer.eos_token_id
    return set(configured) if isinstance(configured, list) else {configured} - {None}


def frames_of(processor: Any) -> Callable[[Document], SizeWH]:
    """The size that the processor gives a document's image, for protocols that count its pixels."""

    def frame(document: Document) -> SizeWH:
        image = open_rgb(document["file"], f"image {document['image_id']}")
        grid = processor.image_processor(images=[image]).get("image_grid_thw")
        patch = getattr(processor.image_processor, "patch_size", None)
        if grid is None or not isinstance(patch, int):
            raise InputError(
                "protocol",
                expected="a processor that tells the resized image's size (image_grid_thw)",
                got=type(processor).__name__,
                remedy="Use a protocol in pixels of the image, or normalised.",
            )
        _, height, width = (int(side) for side in grid[0])
        return SizeWH(width * patch, height * patch)

    return frame
