"""A recipe: everything that decides how one adapter is trained, in one YAML file, read strictly."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.held_out import Evaluate, read_evaluate
from boxlist.adapters_training.optimizers import OPTIMIZERS, LearningRates, read_learning_rates
from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.adapters_training.repeats import Against
from boxlist.adapters_training.rules import Rule, checked_values, one_of, refuse_missing, switch, whole
from boxlist.errors import InputError, unknown_name
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.strict_yaml import read_strict_yaml
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from collections.abc import Mapping

RECIPES = Path(__file__).resolve().parent / "recipes"
_POCKET = "pocket:"
_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")

# Full-match patterns that reach the language part of Qwen3-VL, Gemma 4, PaliGemma-2 and Molmo2 and nothing else;
# bare leaf names would reach into some vision towers too (notes: section 1).
_ATTENTION = r".*\.language_model\.layers\.\d+\.self_attn\.({})"
ALL = "all"
TARGETS: dict[str, str] = {
    "qv": _ATTENTION.format("q_proj|v_proj"),
    "qkvo": _ATTENTION.format("q_proj|k_proj|v_proj|o_proj"),
    "qkvo_mlp": r".*\.language_model\.layers\.\d+\."
    r"(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))",
    ALL: ".*",  # every linear layer but the output's, the eyes included
}
LIST_ORDERS = ("reading", "annotation", "size", "random", "random_each_epoch")
"""In lines from top left; as annotated; largest first; drawn once an image; drawn anew each epoch."""

SCHEDULES = ("constant", "linear", "cosine")
DTYPES = ("float32", "bfloat16")
QUANTISATIONS = ("none", "nf4")


@dataclass(frozen=True)
class Recipe:
    """How one adapter is trained. `load_recipe` makes one from YAML; `RULES` says what each key may hold."""

    base: str
    task: str
    steps: int
    learning_rate: float
    protocol: str = DEFAULT_PROTOCOL
    list_order: str = "reading"
    budgets: int = 0
    noise_records: int = 0
    unlikely_repeats: float = 0.0
    end_weight: float = 1.0
    revision: str | None = None
    targets: str = "qkvo"
    rank: int = 32
    alpha: int = 64
    dropout: float = 0.0
    batch_size: int = 16
    accumulation: int = 1
    learning_rates: LearningRates | None = None
    optimizer: str = "adamw_torch"
    warmup_steps: int = 0
    schedule: str = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 0
    dtype: str = "bfloat16"
    quantisation: str = "none"
    max_length: int = 1024
    gradient_checkpointing: bool = False
    group_by_length: bool = False
    checkpoint_every: int = 50
    evaluate: Evaluate | None = None

    @property
    def target_pattern(self) -> str:
        """The regular expression that a module's whole name must match to get a LoRA pair."""
        return TARGETS.get(self.targets, self.targets)

    @property
    def base_location(self) -> str:
        """Where the base is loaded from: a folder, or a hub id."""
        return base_location(self.base)

    @property
    def against(self) -> Against:
        """What the recipe does against repetition."""
        return Against(self.noise_records, self.unlikely_repeats, self.end_weight)

    def to_dict(self) -> dict[str, Any]:
        """All keys, defaults included, as the provenance records them."""
        return dataclasses.asdict(self)


RULES: dict[str, Rule] = {
    "base": Rule(str, "a folder, a hub id or pocket:NAME", bool),
    "revision": Rule(str, "a commit, tag or branch of the hub", bool),
    "task": Rule(str, "the name of a boxlist task", bool),
    "protocol": Rule(str, "the name of a protocol", bool),
    "list_order": one_of(LIST_ORDERS),
    "budgets": whole(0, 16),
    "noise_records": whole(0, 64),
    "unlikely_repeats": Rule(float, "a number from 0 (off) to 100", lambda value: 0 <= value <= 100),
    "end_weight": Rule(float, "a number above 0 and at most 100", lambda value: 0 < value <= 100),
    "targets": Rule(str, f"{', '.join(TARGETS)} or a full-match pattern", bool),
    "rank": whole(1, 1024),
    "alpha": whole(1, 4096),
    "dropout": Rule(float, "a number from 0 to below 1", lambda value: 0 <= value < 1),
    "steps": whole(1, 1_000_000),
    "batch_size": whole(1, 4096),
    "accumulation": whole(1, 4096),
    "learning_rate": Rule(float, "a number above 0 and at most 1", lambda value: 0 < value <= 1),
    "learning_rates": Rule(dict, "keys and values: vision, projector", bool),
    "optimizer": one_of(OPTIMIZERS),
    "warmup_steps": whole(0, 1_000_000),
    "schedule": one_of(SCHEDULES),
    "weight_decay": Rule(float, "a number from 0 to 1", lambda value: 0 <= value <= 1),
    "max_grad_norm": Rule(float, "a number from 0 (off) to 1000", lambda value: 0 <= value <= 1000),
    "seed": whole(0, 2**32 - 1),
    "dtype": one_of(DTYPES),
    "quantisation": one_of(QUANTISATIONS),
    "max_length": whole(16, 1_000_000),
    "gradient_checkpointing": switch(),
    "group_by_length": switch(),
    "checkpoint_every": whole(1, 1_000_000),
    "evaluate": Rule(dict, "keys and values: every, images, ...", bool),
}
_REQUIRED = ("base", "task", "steps", "learning_rate")


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe; every fault is an `InputError` that names the file and the key.

    A bare name such as `pocket_shapes_qkvo_r32` means the recipe of that name in `adapters_training/recipes`.
    """
    file = _find(path)
    given = read_strict_yaml(file, "recipe", see="adapters_training/README.md")
    values = _checked_values(str(file), given)
    refuse_missing(str(file), values, _REQUIRED, RULES)
    recipe = Recipe(**values)
    check_recipe(recipe, str(file))
    return recipe


def change_recipe(recipe: Recipe, changes: Mapping[Any, Any], where: str) -> Recipe:
    """The recipe with other values for some keys, checked as if its file said so; `where` names them in errors."""
    changed = dataclasses.replace(recipe, **_checked_values(where, changes))
    check_recipe(changed, where)
    return changed


def _checked_values(where: str, given: Mapping[Any, Any]) -> dict[str, Any]:
    values = checked_values(where, given, RULES)
    if "evaluate" in values:
        values["evaluate"] = read_evaluate(f"{where}: evaluate", values["evaluate"])
    if "learning_rates" in values:
        values["learning_rates"] = read_learning_rates(f"{where}: learning_rates", values["learning_rates"])
    return values


def check_recipe(recipe: Recipe, where: str = "recipe") -> None:
    """Check what one key alone cannot tell: names in other tables, the base, the pattern, warm-up against steps."""
    _check_list(recipe, where)
    _check_base(recipe, where)
    _check_targets(recipe.targets, where)
    if recipe.learning_rates is not None and recipe.targets != ALL:
        raise InputError(
            f"{where}: learning_rates",
            expected=f"none, or targets: {ALL}",
            got=f"targets: {recipe.targets[:80]}",
            remedy="Only then are there parts beside the language part.",
        )
    if recipe.warmup_steps >= recipe.steps:
        raise InputError(
            f"{where}: warmup_steps",
            expected=f"less than steps ({recipe.steps})",
            got=str(recipe.warmup_steps),
            remedy="Warm up for a part of the training only.",
        )


def _check_list(recipe: Recipe, where: str) -> None:
    """Task, protocol and what is done against repetition go together."""
    kind, protocol = probe_named(recipe.task).kind, protocol_named(recipe.protocol)
    points = kind == "pointing"
    if protocol.writes_points != points:
        wanted = "one that writes points" if points else "a box protocol"
        raise InputError(
            f"{where}: protocol", expected=wanted, got=recipe.protocol, remedy=f"{recipe.task} asks for it."
        )
    if recipe.against == Against():
        return
    if kind != "dense_bbox":
        raise InputError(
            f"{where}: {', '.join(Against._fields)}",
            expected=f"the defaults for {recipe.task}",
            got="others",
            remedy="They are for lists of boxes.",
        )
    if recipe.against.adds_records and protocol.nested:
        raise InputError(
            f"{where}: protocol",
            expected="one that writes a record after the other, with noise_records or unlikely_repeats",
            got=recipe.protocol,
            remedy="Nested lists are sorted by label.",
        )


def base_location(base: str) -> str:
    """Where a base is loaded from, by the name that a recipe gives it: a folder, or a hub id."""
    return str(pocket_folder(base)) if base.startswith(_POCKET) else base


def pocket_folder(base: str) -> Path:
    """The folder of `pocket:NAME`; an unknown name is an `InputError` with near matches."""
    names = [folder.parent.name for folder in CHECKPOINT.parent.glob("*/config.json")]
    name = base.removeprefix(_POCKET)
    if name not in names:
        raise unknown_name("pocket model", name, names)
    return CHECKPOINT.parent / name


def _find(path: str | Path) -> Path:
    file = Path(path)
    if file.is_file():
        return file
    named = sorted(recipe.stem for recipe in RECIPES.glob("*.yaml"))
    if file.name == str(path) and not file.suffix:
        if file.name in named:
            return RECIPES / f"{file.name}.yaml"
        raise unknown_name("recipe", file.name, named)
    raise InputError(
        f"recipe {path}", expected="a YAML file", got="no such file", remedy=f"Recipes here: {', '.join(named)}."
    )


def _check_base(recipe: Recipe, where: str) -> None:
    if recipe.base.startswith(_POCKET):
        pocket_folder(recipe.base)
    elif not Path(recipe.base, "config.json").is_file() and (
        Path(recipe.base).exists() or not _HUB_ID.fullmatch(recipe.base)
    ):
        raise InputError(
            f"{where}: base",
            expected="a folder with a config.json, a hub id such as Qwen/Qwen3-VL-8B-Instruct, or pocket:NAME",
            got=repr(recipe.base)[:120],
            remedy="Relative folders count from where the command runs.",
        )


def _check_targets(targets: str, where: str) -> None:
    if targets in TARGETS:
        return
    if re.fullmatch(r"[\w-]+", targets):
        raise unknown_name(f"{where}: targets", targets, TARGETS, _near_targets(targets))
    try:
        re.compile(targets)
    except re.error as error:
        raise InputError(
            f"{where}: targets",
            expected="a regular expression for whole module names",
            got=f"{targets[:80]!r} ({error})",
            remedy=f"Or use one of {', '.join(TARGETS)}.",
        ) from error


def _near_targets(targets: str) -> str:
    if targets.endswith(("_proj", "linear")):
        return (
            r"A bare name reaches into vision towers: write a pattern for the whole name, as in .*\.language_model\..*"
        )
    return ""
