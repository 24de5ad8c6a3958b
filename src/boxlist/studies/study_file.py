"""A study's YAML, read strictly: which models, adapters and tasks there are, and the rows of its table.

A file may `include` one other of its folder or of the shipped ones (`_models`): its own keys win.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.recipe import pocket_folder
from boxlist.errors import InputError, unknown_name
from boxlist.reports.control_table import STUDY_COLUMNS
from boxlist.strict_yaml import read_strict_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHIPPED = Path(__file__).resolve().parent
BASE = "none"
"""The adapter of a row that has none."""

_POCKET = "pocket:"
_SEE = "docs/studies/README.md"


@dataclass(frozen=True)
class AdapterSource:
    """Where an adapter comes from: a recipe, with changes of its keys, or a folder or hub id; neither: the user's."""

    title: str
    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None


@dataclass(frozen=True)
class StudyModel:
    """One model of a study. `tasks` and `adapters` are by role; `values` fill the braces of rows.

    `replaced` holds the tasks that the command line put in the place of the study's own, by role.
    """

    name: str
    pretrained: str
    protocol: str
    tasks: Mapping[str, str]
    adapters: Mapping[str, AdapterSource] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    model_args: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 1
    replaced: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_pocket(self) -> bool:
        return self.pretrained.startswith(_POCKET)

    @property
    def location(self) -> str:
        """Where the checkpoint is loaded from: a folder, or a hub id."""
        return str(pocket_folder(self.pretrained)) if self.is_pocket else self.pretrained


@dataclass(frozen=True)
class Study:
    """A study as its file says it; `grid` makes rows of the blocks."""

    name: str
    title: str
    asks: str
    columns: tuple[str, ...]
    blocks: Sequence[Mapping[str, Any]]
    models: Mapping[str, StudyModel]


class Key(NamedTuple):
    """What one key of the YAML holds."""

    kind: type | tuple[type, ...]
    required: bool = False


_LIST_OR_NAME = (list, str)
STUDY_KEYS = {
    "include": Key(str),
    "title": Key(str, required=True),
    "asks": Key(str),
    "columns": Key(list),
    "blocks": Key(list, required=True),
    "models": Key(dict, required=True),
}
BLOCK_KEYS = {
    "title": Key(str),
    "adapter": Key(str),
    "only": Key(list),
    "each": Key(dict),
    "seeds": Key(_LIST_OR_NAME),
    "differences": Key(list),
    "rows": Key(list, required=True),
}
ROW_KEYS = {
    "row": Key(str),
    "adapter": Key(str),
    "task": Key(str),
    "controls": Key(str),
    "protocol": Key(str),
    "target": Key(str),
    "each": Key(dict),
    "seeds": Key(_LIST_OR_NAME),
}
GROUP_KEYS = {"each": Key(dict, required=True), "rows": Key(list, required=True)}
_MODEL_KEYS = {
    "pretrained": Key(str, required=True),
    "protocol": Key(str, required=True),
    "tasks": Key(dict, required=True),
    "adapters": Key(dict),
    "values": Key(dict),
    "model_args": Key(dict),
    "batch_size": Key(int),
}
_ADAPTER_KEYS = {"title": Key(str), "recipe": Key(str), "changes": Key(dict), "path": Key(str)}
_DEFAULT_COLUMNS = ("parse_valid", "predictions_per_image", "target", "f1@0.5", "duplicate_rate", "max_repeat")


def shipped_studies() -> list[str]:
    """The names of the studies that come along, sorted."""
    return sorted(file.stem for file in SHIPPED.glob("*.yaml") if not file.stem.startswith("_"))


def load_study(name_or_path: str) -> Study:
    """Read a study by its name, or from a YAML file; every fault is an `InputError` that names file and key."""
    file = _find(name_or_path)
    given = _with_included(file)
    _check(str(file), given, STUDY_KEYS)
    columns = tuple(str(name) for name in given.get("columns") or _DEFAULT_COLUMNS)
    for column in columns:
        if column not in STUDY_COLUMNS:
            raise unknown_name(f"{file}: column", column, STUDY_COLUMNS)
    blocks = [_block(f"{file}: blocks[{place}]", block) for place, block in enumerate(given["blocks"])]
    models = {str(name): _model(f"{file}: models {name}", str(name), row) for name, row in given["models"].items()}
    return Study(file.stem, given["title"], given.get("asks", ""), columns, blocks, models)


def model_of(study: Study, name: str) -> StudyModel:
    """One model of a study; an unknown name is an `InputError` with near matches."""
    if name not in study.models:
        raise unknown_name(f"model of study {study.name}", name, study.models)
    return study.models[name]


def _find(name_or_path: str) -> Path:
    file = Path(name_or_path)
    if file.suffix in {".yaml", ".yml"}:
        if file.is_file():
            return file
        raise InputError(f"study {name_or_path}", expected="a YAML file", got="no such file", remedy="Check the path.")
    if name_or_path not in shipped_studies():
        raise unknown_name("study", name_or_path, shipped_studies())
    return SHIPPED / f"{name_or_path}.yaml"


def _with_included(file: Path) -> dict[str, Any]:
    given = read_strict_yaml(file, "study", see=_SEE)
    name = given.get("include")
    if name is None:
        return given
    places = [folder / f"{name}.yaml" for folder in (file.parent, SHIPPED)]
    found = next((place for place in places if place.is_file()), None)
    if found is None or not isinstance(name, str) or Path(name).name != name:
        raise InputError(
            f"{file}: include",
            expected="the name of a YAML file beside it, or _models",
            got=repr(name)[:80],
            remedy="Name it without folder and ending.",
        )
    return {**read_strict_yaml(found, "study", see=_SEE), **given}


def _model(where: str, name: str, row: object) -> StudyModel:
    given = _check(where, row, _MODEL_KEYS)
    adapters = {
        str(role): AdapterSource(**{"title": str(role), **_check(f"{where}: adapters {role}", source, _ADAPTER_KEYS)})
        for role, source in (given.get("adapters") or {}).items()
    }
    for role, source in adapters.items():
        if source.recipe is not None and source.path is not None:
            raise InputError(
                f"{where}: adapters {role}", expected="a recipe or a path", got="both", remedy="Drop one of them."
            )
    return StudyModel(**{**given, "name": name, "adapters": adapters})


def _block(where: str, block: object) -> Mapping[str, Any]:
    given = _check(where, block, BLOCK_KEYS)
    for place, row in enumerate(given["rows"]):
        _check_row(f"{where}: rows[{place}]", row)
    return given


def _check_row(where: str, row: object) -> None:
    """A row, or a group of rows that an `each` makes several times."""
    if isinstance(row, dict) and "rows" in row:
        _check(where, row, GROUP_KEYS)
        for place, inner in enumerate(row["rows"]):
            _check_row(f"{where}: rows[{place}]", inner)
    elif not {"row", "protocol"} & _check(where, row, ROW_KEYS).keys():
        raise InputError(
            f"{where}: row", expected="a name, or a protocol", got="neither", remedy="Add one of the keys."
        )


def _check(where: str, given: object, keys: Mapping[str, Key]) -> dict[str, Any]:
    """The mapping itself, once its keys are known, of the right kind, and none is missing."""
    if not isinstance(given, dict):
        raise InputError(where, expected="keys and values", got=type(given).__name__, remedy=f"See {_SEE}.")
    for name, value in given.items():
        if name not in keys:
            raise unknown_name(f"{where}: key", str(name), keys)
        kind = keys[name].kind
        if not isinstance(value, kind) or isinstance(value, bool):
            expected = _KINDS[kind]
            raise InputError(f"{where}: {name}", expected=expected, got=repr(value)[:80], remedy=f"See {_SEE}.")
    for name, key in keys.items():
        if key.required and name not in given:
            raise InputError(f"{where}: {name}", expected="a value", got="nothing", remedy="Add the key.")
    return given


_KINDS: dict[type | tuple[type, ...], str] = {
    str: "text",
    int: "a whole number",
    list: "a list",
    dict: "keys and values",
    _LIST_OR_NAME: "a list, or the name of one",
}
