"""Study files: what is read, and what is refused, word by word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.reports.control_table import STUDY_COLUMNS
from boxlist.studies.study_file import load_study, model_of, shipped_studies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_papers_tables_and_figures_and_questions_of_our_own_come_along() -> None:
    assert shipped_studies() == [
        "budget-sweep",
        "budget-x-stop",
        "coco-transfer",
        "control-surface",
        "controls-beyond",
        "formats",
        "image-tokens",
        "rank-sweep",
        "separability",
        "structure-axis",
        "token-level-alternatives",
        "train-against-repeats",
    ]


@pytest.mark.parametrize("name", shipped_studies())
def test_every_shipped_study_has_all_models_but_the_one_of_many_trainings(name: str) -> None:
    study = load_study(name)
    every = ["pocket", "pocket-gemma4", "gemma4-12b", "qwen3-vl-8b"]
    assert list(study.models) == (["pocket"] if name == "train-against-repeats" else every)
    assert set(study.columns) <= STUDY_COLUMNS.keys()
    assert study.asks.endswith("?")


def test_a_file_is_read_as_it_says(write_study: Callable[..., str]) -> None:
    study = load_study(write_study())
    model = model_of(study, "small")
    assert (study.name, study.title, study.columns) == ("mine", "Mine", ("target", "duplicate_rate", "trigger_rate"))
    assert model.adapters["quick"].changes == {"rank": 4}
    assert model.location.endswith("pocket/qwen3vl")
    assert model.batch_size == 2


def test_a_files_own_keys_win_over_what_it_includes(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("include: _models\ntitle: T\nblocks: [{rows: [{row: base}]}]\n")
    assert "pocket" in load_study(str(file)).models
    file.write_text(
        "include: _models\ntitle: T\nblocks: [{rows: [{row: base}]}]\n"
        "models: {m: {pretrained: a/b, protocol: pixel_xyxy, tasks: {dense: boxlist_dense_bbox_shapes}}}\n"
    )
    assert list(load_study(str(file)).models) == ["m"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "title: Mine",
            "titel: Mine",
            "mine.yaml: key 'titel': expected one of asks, blocks, columns, include, models, ",
        ),
        ("title: Mine\n", "", "mine.yaml: title: expected a value, got nothing. Add the key."),
        ("[target,", "[f1,", "mine.yaml: column 'f1': expected one of count_exact, duplicate_rate, f1@0.5, "),
        (
            "row: base,",
            "rwo: base,",
            "mine.yaml: blocks[0]: rows[0]: key 'rwo': expected one of adapter, controls, each",
        ),
        ("each: {n: budgets}", "each: 3", "mine.yaml: blocks[0]: rows[1]: each: expected keys and values, got 3."),
        (
            "batch_size: 2",
            "batch_size: true",
            "mine.yaml: models small: batch_size: expected a whole number, got True.",
        ),
        ("title: from elsewhere", "recipe: a, path: b", "adapters given: expected a recipe or a path, got both."),
        (
            "title: Mine",
            "include: ../x\ntitle: Mine",
            "include: expected the name of a YAML file beside it, or _models",
        ),
        ("title: Mine", "title: a\ntitle: Mine", "key 'title' is given twice"),
    ],
)
def test_wrong_files_get_one_line(write_study: Callable[..., str], old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load_study(write_study((old, new)))
    assert said in str(refused.value)


def test_unknown_names_get_near_matches(write_study: Callable[..., str]) -> None:
    with pytest.raises(InputError, match=r"study 'budget-swep': .* Did you mean budget-sweep"):
        load_study("budget-swep")
    with pytest.raises(InputError, match=r"model of study mine 'smal': expected one of small"):
        model_of(load_study(write_study()), "smal")
    with pytest.raises(InputError, match=r"study nowhere\.yaml: expected a YAML file, got no such file"):
        load_study("nowhere.yaml")
