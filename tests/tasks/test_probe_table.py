"""The READMEs' tables of probes: as the YAML files and the catalog have them, every probe, and safe to print."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxlist.errors import InputError
from boxlist.tasks.datasets.catalog import DATASETS
from boxlist.tasks.probe_table import every_probe, main, probes_by_kind, with_tables
from boxlist.tasks.probes import probes

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "tasks/README.md"])
def test_the_tables_are_fresh(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == with_tables(text), "run: python -m boxlist.tasks.probe_table README.md tasks/README.md"
    assert text.count("<!-- end -->") == 1


def test_every_probe_has_its_row() -> None:
    lines = every_probe().splitlines()
    assert lines[:2] == ["| probe | data set | test images | first metric | licence |", "|---|---|---|---|---|"]
    assert [line.split("`")[1] for line in lines[2:]] == list(probes())
    assert "| [`boxlist_dense_bbox_trees`](dense_bbox/README.md) | trees | 38 | `f1@0.3` | MIT |" in lines


def test_every_data_set_stands_on_the_first_page() -> None:
    table = probes_by_kind()
    for probe in probes().values():
        assert f"{probe.dataset} ({DATASETS[probe.dataset].size})" in table
    assert "[`boxlist_dense_bbox_*`](tasks/dense_bbox/README.md)" in table
    assert "[`boxlist_inventory_shapes`](tasks/inventory/README.md)" in table


def test_every_data_set_of_a_probe_says_its_size() -> None:
    assert [probe.task for probe in probes().values() if not DATASETS[probe.dataset].size] == []


def test_what_stands_around_a_table_stays(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("before\n<!-- every probe -->\nold\n<!-- end -->\nafter\n")
    main([str(file)])
    assert file.read_text() == f"before\n<!-- every probe -->\n{every_probe()}\n<!-- end -->\nafter\n"


def test_a_file_without_a_place_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("no table\n")
    with pytest.raises(InputError, match=r"README\.md: expected a table between .* got none\. Add the two comments\."):
        main([str(file)])
    assert file.read_text() == "no table\n"
