"""A base's configuration without its weights: from its folder, from the hub, or from a stand-in that comes along.

A stand-in is the shape of a known base, written down where the hub cannot be reached. It serves dry runs only: nothing
is ever trained or evaluated from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError

if TYPE_CHECKING:
    from boxlist.adapters_training.recipe import Recipe

STAND_INS = Path(__file__).resolve().parent / "stand_ins"
_SECONDS = 5  # the longest that a dry run waits for the hub


class BaseConfig(NamedTuple):
    """A transformers configuration, and in words where it comes from."""

    config: Any
    origin: str


def base_config(recipe: Recipe) -> BaseConfig:
    """The configuration of a recipe's base: its own where it can be had, else the stand-in of that name.

    Raises `InputError` when there is neither, or when this transformers does not know the kind of model.
    """
    folder = Path(recipe.base_location)
    if folder.is_dir():
        return BaseConfig(_read(folder, recipe.base), "its config.json")
    file = _from_hub(recipe.base, recipe.revision)
    if file is not None:
        return BaseConfig(_read(file.parent, recipe.base), "config.json of the hub")
    return _stand_in(recipe.base)


def _read(folder: Path, base: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"base {base}",
            expected="a model that this transformers knows",
            got=str(error).partition("\n")[0][:160],
            remedy="Update transformers; code that a checkpoint brings is not run here.",
        ) from error


def _from_hub(base: str, revision: str | None) -> Path | None:
    """config.json in the local cache, or fetched; None when the hub is out of reach or does not give it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(base, "config.json", revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        if not _hub_answers():
            return None
    try:
        return Path(hf_hub_download(base, "config.json", revision=revision))
    except (HfHubHTTPError, OSError):
        return None


def _hub_answers() -> bool:
    """Whether the hub can be reached at all: downloads alone would try for half a minute."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or not constants.ENDPOINT.startswith("https://"):
        return False
    try:
        with urlopen(constants.ENDPOINT, timeout=_SECONDS):  # noqa: S310 - https only
            return True
    except HTTPError:  # it answers, whatever it says
        return True
    except OSError:
        return False


def _stand_in(base: str) -> BaseConfig:
    from transformers import AutoConfig

    file = STAND_INS / f"{base.replace('/', '--')}.json"
    if not file.is_file():
        known = ", ".join(sorted(path.stem.replace("--", "/") for path in STAND_INS.glob("*.json")))
        raise InputError(
            f"base {base}",
            expected="a config.json that can be had from the hub",
            got="none, and no stand-in of that name",
            remedy=f"Fetch the checkpoint, or give its folder. Stand-ins here: {known}.",
        )
    written = json.loads(file.read_text(encoding="utf-8"))
    config = AutoConfig.for_model(**written["config"])
    return BaseConfig(config, f"a stand-in for config.json, which could not be had: {written['values_from']}")
