"""From a task's chat messages to what the processor takes: images in RGB, and text in the model's protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets.pictures import whole_pictures_only
from boxlist.tasks.probes import render_prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.controls.table import Controls
    from boxlist.protocols import Protocol


PicturePart = Callable[[Mapping[str, Any], str], dict[str, Any]]
"""From a task's image part, and what to call it in errors, to the part that an engine takes."""


class Prompt(NamedTuple):
    """One conversation as an engine takes it, the user's words in it, and the options whose likelihood is asked for."""

    messages: list[dict[str, Any]]
    text: str
    options: tuple[str, ...] = ()


def rgb_part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """An image part for a processor's chat template."""
    return {"type": "image", "image": open_rgb(part["url"], where)}


def build_prompt(
    messages: Sequence[Mapping[str, Any]],
    protocol: Protocol,
    controls: Controls,
    where: str,
    picture: PicturePart = rgb_part,
) -> Prompt:
    """Open the images, render each `template` in `protocol`, and append the controls' sentences to the last text.

    `where` names the document in errors. Raises `InputError` for images that cannot be read and for other media.
    """
    built = [
        {"role": message["role"], "content": [_part(part, protocol, where, picture) for part in _parts(message)]}
        for message in messages
    ]
    texts = [part for message in built if message["role"] == "user" for part in message["content"] if "text" in part]
    if not texts:
        raise InputError(where, expected="a user message with text", got="none", remedy="Correct doc_to_messages.")
    classes = [name for message in messages for part in _parts(message) for name in part.get("classes", ())]
    texts[-1]["text"] += controls.prompt_ending(classes)
    options = tuple(option for message in messages for part in _parts(message) for option in part.get("options", ()))
    return Prompt(built, "\n".join(part["text"] for part in texts), options)


def _parts(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    content: str | Sequence[Mapping[str, Any]] = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _part(part: Mapping[str, Any], protocol: Protocol, where: str, picture: PicturePart) -> dict[str, Any]:
    if part["type"] == "text":
        template = part.get("template")
        text = part["text"] if template is None else render_prompt(template, protocol, part.get("question"))
        return {"type": "text", "text": text}
    if part["type"] == "image":
        return picture(part, where)
    raise InputError(where, expected="images and text", got=str(part["type"])[:40], remedy="Use another model for it.")


def open_rgb(image: object, where: str) -> Image.Image:
    """An image, or the path of one, decoded and in RGB. Raises `InputError` naming the file when it cannot be read."""
    path = image if isinstance(image, str | Path) else getattr(image, "filename", "")
    try:
        with whole_pictures_only():
            if isinstance(image, Image.Image):
                return image.convert("RGB")
            if isinstance(image, str | Path):
                with Image.open(image) as opened:
                    return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{where}: {path}" if path else where,
            expected="an image that can be read",
            got=str(error)[:160],
            remedy="Replace the file.",
        ) from error
    raise InputError(where, expected="an image", got=type(image).__name__, remedy="Correct doc_to_messages.")
