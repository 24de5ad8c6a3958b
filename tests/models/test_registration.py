"""lmms-eval finds the model by its name, and builds it from its own argument strings."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.models import lmms_eval_manifests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_entry_point_is_ours() -> None:
    (found,) = [entry for entry in entry_points(group="lmms_eval.models") if entry.name == "boxlist"]
    assert found.load() is lmms_eval_manifests


def test_lmms_eval_resolves_the_name_to_a_chat_model() -> None:
    from lmms_eval.models.registry_v2 import ModelRegistryV2

    from boxlist.models.hf import BoxlistHF

    registry = ModelRegistryV2()
    registry.load_entrypoint_manifests()
    assert registry.resolve("boxlist_hf").model_type == "chat"
    assert registry.get_model_class("boxlist_hf") is BoxlistHF


def test_lmms_eval_builds_it_from_a_string(recitations: Any) -> None:
    """As its command line does: batch size as text, a device of None left out."""
    from boxlist.models.hf import BoxlistHF

    model = BoxlistHF.create_from_arg_string(
        f"pretrained={recitations.folder},protocol=norm1_xyxy,trust_remote_code=False,seed=3",
        {"batch_size": "4", "max_batch_size": None, "device": None},
    )
    assert (model.batch_size, model.protocol.name, model.seed) == (4, "norm1_xyxy", 3)


def test_importing_the_package_imports_no_engine() -> None:
    code = "import sys, boxlist.models; print({'torch', 'transformers', 'lmms_eval', 'peft'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_resized_pixel_protocols_get_the_size_of_the_resized_image(
    pocket_base: Path, ask: Callable[..., list[Any]]
) -> None:
    """The pocket's processor keeps the area of 224 x 224 in blocks of 32: 448 x 112 loses half a block."""
    from boxlist.models.hf import BoxlistHF
    from boxlist.tasks.sealed import unseal

    model = BoxlistHF(str(pocket_base), protocol="resized_pixel_xyxy", batch_size=3, device="cpu")
    requests = ask(model, [("?", {"max_new_tokens": 2}, "a")] * 3)
    for row, size in enumerate([(448, 112), (100, 100), (224, 224)]):
        model.task_dict["a"]["test"][row]["image"] = Image.new("RGB", size)
    answers = dict(model.answers(requests))
    assert [answers[row].frame_wh_px for row in range(3)] == [(448, 96), (224, 224), (224, 224)]
    assert unseal(model.generate_until(requests)[0]).frame == (448, 96)


def test_two_images_have_no_one_frame(pocket_base: Path, ask: Callable[..., list[Any]]) -> None:
    from boxlist.models.hf import BoxlistHF

    model = BoxlistHF(str(pocket_base), protocol="resized_pixel_xyxy", device="cpu")
    (request,) = ask(model, [("?", {"max_new_tokens": 2}, "a")])

    def two(document: dict[str, Any]) -> list[dict[str, Any]]:
        (message,) = original(document)
        return [{**message, "content": [message["content"][0], *message["content"]]}]

    original = request.arguments[1]
    request.arguments = (request.arguments[0], two, *request.arguments[2:])
    with pytest.raises(
        InputError, match="protocol resized_pixel_xyxy: expected one image a prompt, and a processor that"
    ):
        next(model.answers([request]))


def test_a_document_whose_image_is_gone(recitations: Any, ask: Callable[..., list[Any]], tmp_path: Path) -> None:
    from boxlist.models.hf import BoxlistHF

    model = BoxlistHF(str(recitations.folder), device="cpu")
    (request,) = ask(model, [("?", {"max_new_tokens": 2}, "a")])
    model.task_dict["a"]["test"][0]["file"] = str(tmp_path / "gone.png")

    def opens(document: dict[str, Any]) -> Any:
        return Image.open(document["file"])

    request.arguments = (request.arguments[0], opens, *request.arguments[2:])
    with pytest.raises(InputError, match=r"gone.png: expected an image that can be read, got .*Replace the file"):
        next(model.answers([request]))
