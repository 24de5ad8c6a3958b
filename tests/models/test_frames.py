"""The size of the resized image, told by the pocket's processor, which keeps 224 x 224 pixels in blocks of 32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.models.frames import resized_frame
from boxlist.protocols import protocol_named

if TYPE_CHECKING:
    from boxlist.models.hf import BoxlistHF

RESIZED = protocol_named("resized_pixel_xyxy")


def test_the_size_is_asked_for_only_where_it_is_needed(pocket: BoxlistHF) -> None:
    for size, resized in (((448, 112), (448, 96)), ((100, 100), (224, 224)), ((224, 224), (224, 224))):
        assert resized_frame(RESIZED, pocket.processor, [Image.new("RGB", size)]) == resized
    assert resized_frame(protocol_named("pixel_xyxy"), None, []) is None


def test_two_images_or_none_have_no_one_size(pocket: BoxlistHF) -> None:
    picture = Image.new("RGB", (224, 224))
    for images in ([], [picture, picture]):
        with pytest.raises(InputError, match="protocol resized_pixel_xyxy: expected one image a prompt, and a proc"):
            resized_frame(RESIZED, pocket.processor, images)
