"""The shortcuts of the pocket's training compute what the model itself computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from boxlist.adapters_training.pocket.architecture import image_features, patchify
from boxlist.adapters_training.pocket.language import Packer, block_mask, run_batch
from boxlist.adapters_training.pocket.lessons import KINDS, VOCABULARY, Lesson, classroom, draw_lessons
from boxlist.adapters_training.pocket.train_base import probe_prompts
from boxlist.adapters_training.pocket.vision import cell_of, cell_targets, draw_batch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pocket(pocket_base: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(
        pocket_base, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    return AutoProcessor.from_pretrained(pocket_base), model


def test_image_features_are_the_models_own(pocket: tuple[Any, Any]) -> None:
    processor, model = pocket
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    inputs = processor.image_processor(images=[Image.fromarray(image) for image in images], return_tensors="pt")
    with torch.inference_mode():
        own = model.model.visual(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
        ours = image_features(model, images)
    torch.testing.assert_close(ours.flatten(0, 1), own, atol=1e-4, rtol=1e-4)


def test_patches_come_in_blocks_of_two_by_two() -> None:
    image = np.zeros((1, 224, 224, 3), np.uint8)
    image[0, 16:32, :16] = 7  # second row, first column of patches: third of the first block
    patches = patchify(image)[0]
    assert np.flatnonzero(patches.any(1)).tolist() == [2]


def test_packed_questions_cost_what_they_cost_alone(pocket: tuple[Any, Any]) -> None:
    processor, model = pocket
    rng = np.random.default_rng(0)
    scenes, images = draw_batch(rng, 2)
    lessons = [draw_lessons(classroom(scene, probe_prompts(), rng), VOCABULARY, 3) for scene in scenes]
    packer = Packer(processor.tokenizer, KINDS)
    with torch.inference_mode():
        together = run_batch(model, packer, packer.pack(lessons, images, 700)).losses
        alone = [
            loss
            for image, asked in zip(images, lessons, strict=True)
            for lesson in asked
            for loss in _losses_alone(processor, model, image, lesson)
        ]
    torch.testing.assert_close(together, torch.tensor(alone), atol=2e-3, rtol=1e-3)


def _losses_alone(processor: Any, model: Any, image: np.ndarray[Any, Any], lesson: Lesson) -> list[float]:
    content = [{"type": "image", "image": Image.fromarray(image)}, {"type": "text", "text": lesson.prompt}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    answer = torch.tensor([processor.tokenizer(f"{lesson.answer}<|im_end|>").input_ids])
    ids = torch.cat([inputs["input_ids"], answer], 1)
    kinds = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(answer)], 1)
    images = {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=kinds, **images).logits
    asked = logits[0, inputs["input_ids"].shape[1] - 1 : -1]
    losses: list[float] = torch.nn.functional.cross_entropy(asked, answer[0], reduction="none").tolist()
    return losses


def test_a_question_sees_the_picture_and_itself_only() -> None:
    seen = block_mask(np.array([[0, 0, 1, 1, 2, -1]]))[0]
    assert seen.astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


def test_cells_hold_their_object() -> None:
    scenes, _ = draw_batch(np.random.default_rng(3), 1, (4, 4))
    targets = cell_targets(scenes)
    cells = [cell_of(item) for item in scenes[0].objects]
    assert sorted(set(cells)) == np.flatnonzero(targets.present[0]).tolist()
    last = scenes[0].objects[-1]
    np.testing.assert_allclose(targets.box[0, cells[-1]] * 224, last.box_xyxy_px, atol=1e-3)
    x1, y1 = last.box_xyxy_px[0] / 224, last.box_xyxy_px[1] / 224
    wanted = [[int(v * 10), int(v * 100) % 10] for v in (x1 + 0.0005, y1 + 0.0005)]
    assert targets.digits[0, cells[-1], :2].tolist() == wanted
