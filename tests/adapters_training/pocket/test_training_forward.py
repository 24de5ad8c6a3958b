"""The shortcuts of the pockets' training compute what the models themselves compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from boxlist.adapters_training.pocket import architecture_gemma4, architecture_qwen3vl
from boxlist.adapters_training.pocket.families import FAMILIES, GEMMA4, QWEN3VL, Family
from boxlist.adapters_training.pocket.language import run_batch
from boxlist.adapters_training.pocket.lessons import Lesson, classroom
from boxlist.adapters_training.pocket.mixes import KINDS, VOCABULARY, draw_lessons
from boxlist.adapters_training.pocket.packing import Packer, block_mask
from boxlist.adapters_training.pocket.train_base import lesson_texts, new_model, probe_prompts, save
from boxlist.adapters_training.pocket.vision import cell_of, cell_targets, draw_batch
from boxlist.adapters_training.pocket.words import train_tokenizer

if TYPE_CHECKING:
    from pathlib import Path


class Pocket(NamedTuple):
    family: Family
    processor: Any
    model: Any


@pytest.fixture(scope="module")
def folders(pocket_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each family: the committed one, and one of random weights and a hasty vocabulary."""
    folder: Path = tmp_path_factory.mktemp("gemma4")
    texts = lesson_texts(GEMMA4, probe_prompts(GEMMA4.protocol), seed=1, scenes=20)
    tokenizer = train_tokenizer(texts, GEMMA4.markup)
    save(GEMMA4, new_model(GEMMA4, tokenizer, seed=1), tokenizer, folder)
    return {QWEN3VL.name: pocket_base, GEMMA4.name: folder}


@pytest.fixture(scope="module", params=list(FAMILIES))
def pocket(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Pocket:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = folders[request.param]
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return Pocket(FAMILIES[request.param], AutoProcessor.from_pretrained(folder), model)


def images_of_noise(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def processed(processor: Any, images: np.ndarray[Any, Any]) -> Any:
    return processor.image_processor(images=[Image.fromarray(image) for image in images], return_tensors="pt")


@pytest.mark.parametrize("pocket", [QWEN3VL.name], indirect=True)
def test_image_features_are_the_models_own(pocket: Pocket) -> None:
    images = images_of_noise(2)
    inputs = processed(pocket.processor, images)
    with torch.inference_mode():
        own = pocket.model.model.visual(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
        ours = architecture_qwen3vl.image_features(pocket.model, images)
    torch.testing.assert_close(ours.flatten(0, 1), own, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pocket", [GEMMA4.name], indirect=True)
def test_image_embeddings_are_the_models_own(pocket: Pocket) -> None:
    images = images_of_noise(2)
    inputs = processed(pocket.processor, images)
    assert inputs["num_soft_tokens_per_image"].tolist() == [64, 64]
    with torch.inference_mode():
        own = pocket.model.get_image_features(inputs["pixel_values"], inputs["image_position_ids"]).pooler_output
        ours = architecture_gemma4.image_embeddings(pocket.model, images)
    torch.testing.assert_close(ours.flatten(0, 1), torch.cat(own), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pocket", [GEMMA4.name], indirect=True)
def test_sight_is_the_models_own(pocket: Pocket) -> None:
    images = images_of_noise(2)
    with torch.inference_mode():
        embeds = architecture_gemma4.image_embeddings(pocket.model, images)
        kinds = torch.ones(embeds.shape[:2], dtype=torch.long)
        own = pocket.model.model(inputs_embeds=embeds, mm_token_type_ids=kinds, output_hidden_states=True)
        ours = architecture_gemma4.sight(pocket.model, images)
    torch.testing.assert_close(ours, own.hidden_states[architecture_gemma4.SIGHT_LAYERS], atol=1e-4, rtol=1e-4)


def test_patches_come_in_blocks_of_two_by_two() -> None:
    image = np.zeros((1, 224, 224, 3), np.uint8)
    image[0, 16:32, :16] = 7  # second row, first column of patches: third of the first block
    patches = architecture_qwen3vl.patchify(image)[0]
    assert np.flatnonzero(patches.any(1)).tolist() == [2]


def test_packed_questions_cost_what_they_cost_alone(pocket: Pocket) -> None:
    family = pocket.family
    rng = np.random.default_rng(0)
    scenes, images = draw_batch(rng, 2)
    prompts = probe_prompts(family.protocol)
    lessons = [draw_lessons(classroom(scene, prompts, rng, family), VOCABULARY, 3) for scene in scenes]
    packer = Packer(family, pocket.processor.tokenizer, KINDS)
    with torch.inference_mode():
        together = run_batch(pocket.model, packer, packer.pack(lessons, images, 700)).losses
        alone = [
            loss
            for image, asked in zip(images, lessons, strict=True)
            for lesson in asked
            for loss in _losses_alone(pocket, image, lesson)
        ]
    torch.testing.assert_close(together, torch.tensor(alone), atol=2e-3, rtol=1e-3)


def _losses_alone(pocket: Pocket, image: np.ndarray[Any, Any], lesson: Lesson) -> list[float]:
    content = [{"type": "image", "image": Image.fromarray(image)}, {"type": "text", "text": lesson.prompt}]
    inputs = pocket.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    answer = torch.tensor([pocket.processor.tokenizer(f"{lesson.answer}{pocket.family.markup.end}").input_ids])
    asked = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], 1)
    inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(answer)], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    logits = pocket.model(**inputs).logits[0, asked - 1 : -1]
    losses: list[float] = torch.nn.functional.cross_entropy(logits, answer[0], reduction="none").tolist()
    return losses


@pytest.mark.parametrize("pocket", [GEMMA4.name], indirect=True)
def test_generation_sees_as_training_does(pocket: Pocket) -> None:
    """In full layers the model's own masks differ between the two."""
    content = [{"type": "image", "image": Image.fromarray(images_of_noise(1)[0])}, {"type": "text", "text": "Count."}]
    inputs = pocket.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    with torch.inference_mode():
        training = pocket.model(**inputs).logits[:, -1]
        generated = pocket.model.generate(
            **inputs, max_new_tokens=1, output_logits=True, return_dict_in_generate=True
        ).logits[0]
    torch.testing.assert_close(generated, training, atol=1e-4, rtol=1e-4)


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


def test_tokens_of_a_picture_may_see_each_other_both_ways() -> None:
    seen = block_mask(np.array([[0, 0, 0, 1]]), slice(1, 3))[0]
    assert seen.astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_cells_hold_their_object() -> None:
    scenes, _ = draw_batch(np.random.default_rng(3), 1, (4, 4))
    targets = cell_targets(scenes, QWEN3VL)
    cells = [cell_of(item, QWEN3VL.grid) for item in scenes[0].objects]
    assert sorted(set(cells)) == np.flatnonzero(targets.present[0]).tolist()
    last = scenes[0].objects[-1]
    np.testing.assert_allclose(targets.box[0, cells[-1]] * 224, last.box_xyxy_px, atol=1e-3)
    x1, y1 = last.box_xyxy_px[0] / 224, last.box_xyxy_px[1] / 224
    wanted = [[int(v * 10), int(v * 100) % 10] for v in (x1 + 0.0005, y1 + 0.0005)]
    assert targets.digits[0, cells[-1], :2].tolist() == wanted


def test_cells_hold_whole_pixels_where_the_family_writes_them() -> None:
    scenes, _ = draw_batch(np.random.default_rng(3), 1, (4, 4))
    targets = cell_targets(scenes, GEMMA4)
    last = scenes[0].objects[-1]
    digits = targets.digits[0, cell_of(last, GEMMA4.grid)]
    assert (digits @ [100, 10, 1])[:4].tolist() == list(last.box_xyxy_px)
