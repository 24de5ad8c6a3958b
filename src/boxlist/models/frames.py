"""The size that a processor gives an image before it cuts it into patches, for protocols in its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.protocols import Protocol


def resized_frame(protocol: Protocol, processor: Any, images: Sequence[Any]) -> tuple[int, int] | None:
    """Width and height of the one resized image of a prompt; None where `protocol` needs none.

    Raises `InputError` where it is needed and there is no one size.
    """
    if not protocol.needs_frame:
        return None
    image_processor = getattr(processor, "image_processor", None)
    patch = getattr(image_processor, "patch_size", None)
    grids = image_processor(images=list(images)).get("image_grid_thw") if image_processor and images else None
    if grids is None or len(grids) != 1 or not isinstance(patch, int):
        raise InputError(
            f"protocol {protocol.name}",
            expected="one image a prompt, and a processor that tells its resized size (image_grid_thw)",
            got=type(processor).__name__,
            remedy="Use a protocol in pixels of the image, or normalised.",
        )
    _, height, width = (int(side) for side in grids[0])
    return width * patch, height * patch
