"""A recipe: everything that decides how one adapter is trained, in one YAML file, read strictly."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.errors import InputError, unknown_name
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPES = Path(__file__).resolve().parent / "recipes"
MAX_RECIPE_BYTES = 64 * 1024
_POCKET = "pocket:"
_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")

# Full-match patterns that reach the language part of Qwen3-VL, Gemma 4, PaliGemma-2 and Molmo2 and nothing else;
# bare leaf names would reach into some vision towers too (notes: section 1).
_ATTENTION = r".*\.language_model\.layers\.\d+\.self_attn\.({})"
TARGETS: dict[str, str] = {
    "qv": _ATTENTION.format("q_proj|v_proj"),
    "qkvo": _ATTENTION.format("q_proj|k_proj|v_proj|o_proj"),
    "qkvo_mlp": r".*\.language_model\.layers\.\d+\."
    r"(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))",
}
LIST_ORDERS = ("reading", "annotation", "random")
SCHEDULES = ("constant", "linear", "cosine")
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How one adapter is trained. `load_recipe` makes one from YAML; `RULES` says what each key may hold."""

    base: str
    task: str
    steps: int
    learning_rate: float
    protocol: str = DEFAULT_PROTOCOL
    list_order: str = "reading"
    revision: str | None = None
    targets: str = "qkvo"
    rank: int = 32
    alpha: int = 64
    dropout: float = 0.0
    batch_size: int = 16
    accumulation: int = 1
    warmup_steps: int = 0
    schedule: str = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 0
    dtype: str = "bfloat16"
    max_length: int = 1024
    checkpoint_every: int = 50

    @property
    def target_pattern(self) -> str:
        """The regular expression that a module's whole name must match to get a LoRA pair."""
        return TARGETS.get(self.targets, self.targets)

    @property
    def base_location(self) -> str:
        """Where the base is loaded from: a folder, or a hub id."""
        return str(pocket_folder(self.base)) if self.base.startswith(_POCKET) else self.base

    def to_dict(self) -> dict[str, Any]:
        """All keys, defaults included, as the provenance records them."""
        return dataclasses.asdict(self)


class Rule(NamedTuple):
    """What one key may hold: its type, a test of its value, and both in words."""

    type: type
    expected: str
    holds: Callable[[Any], bool]


def _whole(least: int, most: int) -> Rule:
    return Rule(int, f"a whole number from {least} to {most}", lambda value: least <= value <= most)


def _one_of(names: tuple[str, ...]) -> Rule:
    return Rule(str, f"one of {', '.join(names)}", lambda value: value in names)


RULES: dict[str, Rule] = {
    "base": Rule(str, "a folder, a hub id or pocket:NAME", bool),
    "revision": Rule(str, "a commit, tag or branch of the hub", bool),
    "task": Rule(str, "the name of a boxlist task", bool),
    "protocol": Rule(str, "the name of a protocol", bool),
    "list_order": _one_of(LIST_ORDERS),
    "targets": Rule(str, f"{', '.join(TARGETS)} or a full-match pattern", bool),
    "rank": _whole(1, 1024),
    "alpha": _whole(1, 4096),
    "dropout": Rule(float, "a number from 0 to below 1", lambda value: 0 <= value < 1),
    "steps": _whole(1, 1_000_000),
    "batch_size": _whole(1, 4096),
    "accumulation": _whole(1, 4096),
    "learning_rate": Rule(float, "a number above 0 and at most 1", lambda value: 0 < value <= 1),
    "warmup_steps": _whole(0, 1_000_000),
    "schedule": _one_of(SCHEDULES),
    "weight_decay": Rule(float, "a number from 0 to 1", lambda value: 0 <= value <= 1),
    "max_grad_norm": Rule(float, "a number from 0 (off) to 1000", lambda value: 0 <= value <= 1000),
    "seed": _whole(0, 2**32 - 1),
    "dtype": _one_of(DTYPES),
    "max_length": _whole(16, 1_000_000),
    "checkpoint_every": _whole(1, 1_000_000),
}
_REQUIRED = ("base", "task", "steps", "learning_rate")


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe; every fault is an `InputError` that names the file and the key.

    A bare name such as `pocket_shapes_qkvo_r32` means the recipe of that name in `adapters_training/recipes`.
    """
    file = _find(path)
    given = _read_yaml(file)
    for key in given:
        if key not in RULES:
            raise unknown_name(f"{file}: key", str(key), RULES)
    for key in _REQUIRED:
        if given.get(key) is None:
            raise InputError(f"{file}: {key}", expected=RULES[key].expected, got="nothing", remedy="Add the key.")
    values: dict[str, Any] = {key: _checked(file, key, value) for key, value in given.items() if value is not None}
    recipe = Recipe(**values)
    check_recipe(recipe, str(file))
    return recipe


def check_recipe(recipe: Recipe, where: str = "recipe") -> None:
    """Check what one key alone cannot tell: names in other tables, the base, the pattern, warm-up against steps."""
    probe_named(recipe.task)
    if protocol_named(recipe.protocol).syntax == "point":
        raise InputError(
            f"{where}: protocol", expected="a box protocol", got=recipe.protocol, remedy="Point training is not built."
        )
    _check_base(recipe, where)
    _check_targets(recipe.targets, where)
    if recipe.warmup_steps >= recipe.steps:
        raise InputError(
            f"{where}: warmup_steps",
            expected=f"less than steps ({recipe.steps})",
            got=str(recipe.warmup_steps),
            remedy="Warm up for a part of the training only.",
        )


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


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error, not a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {str(twice)[:80]!r} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def _read_yaml(file: Path) -> dict[Any, Any]:
    text = file.read_bytes()[: MAX_RECIPE_BYTES + 1]
    if len(text) > MAX_RECIPE_BYTES:
        raise InputError(
            str(file), expected=f"at most {MAX_RECIPE_BYTES} bytes", got="more", remedy="Is this a recipe?"
        )
    try:
        given = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(
            str(file), expected="YAML", got=" ".join(str(error).split())[:200], remedy="Fix the file."
        ) from error
    if not isinstance(given, dict):
        raise InputError(
            str(file), expected="keys and values", got=type(given).__name__, remedy="See adapters_training/README.md."
        )
    return given


def _checked(file: Path, key: str, value: object) -> object:
    rule = RULES[key]
    if rule.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    good_type = isinstance(value, rule.type) and not isinstance(value, bool)
    if good_type and not (isinstance(value, float) and not math.isfinite(value)) and rule.holds(value):
        return value
    remedy = "Change the value."
    if rule.type is float and isinstance(value, str):
        remedy = "YAML reads 1e-3 as text: write 1.0e-3."
    raise InputError(f"{file}: {key}", expected=rule.expected, got=repr(value)[:80], remedy=remedy)


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
