"""The size that a processor gives an image before it cuts it into patches, for protocols in its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.protocols import Protocol

Frame = tuple[int, int]


def resized_frames(protocol: Protocol, processor: Any, grids: Any, prompts: int) -> list[Frame | None]:
    """Width and height of the one resized image of each prompt, from the patch grids `(prompts, 3)` that the processor
    gave (`image_grid_thw`); None where `protocol` needs none.

    Raises `InputError` where they are needed and there is not one for each prompt.
    """
    if not protocol.needs_frame:
        return [None] * prompts
    patch = getattr(getattr(processor, "image_processor", None), "patch_size", None)
    if grids is None or len(grids) != prompts or not isinstance(patch, int):
        raise InputError(
            f"protocol {protocol.name}",
            expected="one image a prompt, and a processor that tells its resized size (image_grid_thw)",
            got=type(processor).__name__,
            remedy="Use a protocol in pixels of the image, or normalised.",
        )
    return [(int(width) * patch, int(height) * patch) for _, height, width in grids]


def resized_frame(protocol: Protocol, processor: Any, images: Sequence[Any]) -> Frame | None:
    """The same of one prompt with these images, which the processor looks at where `protocol` needs it."""
    if not protocol.needs_frame:
        return None
    image_processor = getattr(processor, "image_processor", None)
    grids = image_processor(images=list(images)).get("image_grid_thw") if image_processor and images else None
    return resized_frames(protocol, processor, grids, 1)[0]
