"""Where a study's runs and adapters lie: one pool a model, so that studies share what they have in common.

<out>/<model>/adapters/<role>                    trained adapters
<out>/<model>/runs/<role>/<task>/<controls>      run folders; first-N/ instead of runs/ under --limit
                               /<protocol>/      between task and controls, where it is not the model's own
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boxlist.adapters_training.recipe import Recipe, change_recipe, load_recipe
from boxlist.errors import InputError
from boxlist.runs.folder import RUN_FILE, read_run
from boxlist.runs.request import RunRequest
from boxlist.studies.study_file import BASE

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.studies.grid import Asked
    from boxlist.studies.study_file import AdapterSource, StudyModel

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
REPLAYED = "replayed"


@dataclass(frozen=True)
class Pool:
    """The runs and adapters of one model under one limit."""

    out: Path
    model: StudyModel
    limit: int | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        for name in (self.model.name, *self.model.adapters):
            if not _FOLDER_NAME.fullmatch(name):
                raise InputError(
                    f"name {name[:80]!r}",
                    expected="letters, digits and ._+- only, at most 80",
                    got="something else",
                    remedy="Rename the model or the adapter: folders are called after them.",
                )

    def adapter(self, role: str) -> str:
        """Where the adapter of a role is: a folder of the pool, or what its `path` says."""
        return self.model.adapters[role].path or str(self.adapter_folder(role))

    def adapter_folder(self, role: str) -> Path:
        return self.out / self.model.name / "adapters" / role

    def folder(self, asked: Asked, *, replayed: bool = False) -> Path:
        """The run folder of what is asked, or of its replay."""
        part = "runs" if self.limit is None else f"first-{self.limit}"
        name = asked.controls.name.replace(",", "+")
        parent = self.out / self.model.name / part / asked.adapter / asked.task / (asked.protocol or "")
        return parent / (f"{name}-{REPLAYED}" if replayed else name)

    def is_complete(self, asked: Asked, *, replayed: bool = False) -> bool:
        """Whether the run says that it is finished; whether it still fits is for the engine to tell."""
        folder = self.folder(asked, replayed=replayed)
        return (folder / RUN_FILE).is_file() and read_run(folder).get("status") == "complete"

    def request(self, asked: Asked) -> RunRequest:
        """What `boxlist run` would be asked for it."""
        folder = self.folder(asked)
        adapter = {} if asked.adapter == BASE else {"adapter": self.adapter(asked.adapter)}
        return RunRequest(
            tasks=(asked.task,),
            name=folder.name,
            model_args={
                "pretrained": self.model.location,
                "protocol": asked.protocol or self.model.protocol,
                **self.model.model_args,
                **adapter,
            },
            controls=asked.controls,
            out=folder.parent,
            limit=self.limit,
            batch_size=self.model.batch_size,
            fresh=self.fresh,
            any_protocol=asked.protocol is not None,
        )


def recipe_of(source: AdapterSource) -> Recipe:
    """The recipe of an adapter with the study's changes. Raises `InputError` where there is none, or it is wrong."""
    if source.recipe is None:
        raise InputError(f"adapter {source.title}", expected="a recipe", got="none", remedy="Name one, or give a path.")
    recipe = load_recipe(source.recipe)
    return change_recipe(recipe, source.changes, f"adapter {source.title}")
