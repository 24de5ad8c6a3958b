"""The tables of probes in the READMEs, made from the YAML files and the catalog; a test says when one is stale.

python -m boxlist.tasks.probe_table README.md tasks/README.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.errors import BoxlistError, InputError
from boxlist.tasks.datasets.catalog import dataset_named
from boxlist.tasks.probes import probes, tasks_path
from boxlist.whole_files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from boxlist.tasks.datasets.dataset import Dataset
    from boxlist.tasks.probes import Probe

_TABLE = re.compile(r"(<!-- (every probe|probes by kind) -->\n).*?(<!-- end -->)", re.DOTALL)


def every_probe() -> str:
    """A row a probe, sorted: what it asks for, its data set, how much that holds, its first metric, the licence.

    For `tasks/README.md`.
    """
    rows = []
    for probe in _shipped():
        row = dataset_named(probe.dataset)
        linked = f"[`{probe.task}`]({probe.yaml_path.parent.name}/README.md)"
        rows.append([linked, row.name, row.size, f"`{probe.metrics[0]}`", row.licence])
    return _markdown(["probe", "data set", "test images", "first metric", "licence"], rows)


def probes_by_kind() -> str:
    """A row a folder and kind, with all its data sets, for the first page; licences in short."""
    groups: dict[tuple[str, str], list[Probe]] = {}
    for probe in _shipped():
        groups.setdefault((probe.yaml_path.parent.name, probe.kind), []).append(probe)
    rows = []
    for (folder, _), group in groups.items():
        sets = list({probe.dataset: dataset_named(probe.dataset) for probe in group}.values())
        linked = f"[`{_common_name([probe.task for probe in group])}`](tasks/{folder}/README.md)"
        held = ", ".join(f"{row.name} ({row.size})" for row in sets)
        rows.append([linked, held, f"`{group[0].metrics[0]}`", _licences(sets)])
    return _markdown(["probes", "data sets (test images)", "first metric", "licences"], rows)


def with_tables(text: str) -> str:
    """A README with its tables made anew: each stands between a comment that names it and `<!-- end -->`."""
    return _TABLE.sub(lambda match: f"{match[1]}{_TABLES[match[2]]()}\n{match[3]}", text)


def main(files: Sequence[str]) -> None:
    """Write the tables of the files given. Raises `InputError` for one without a place for a table."""
    for name in files:
        text = Path(name).read_text(encoding="utf-8")
        if not _TABLE.search(text):
            expected = "a table between <!-- every probe --> or <!-- probes by kind --> and <!-- end -->"
            raise InputError(name, expected=expected, got="none", remedy="Add the two comments.")
        write_text(Path(name), with_tables(text))


_TABLES: dict[str, Callable[[], str]] = {"every probe": every_probe, "probes by kind": probes_by_kind}


def _shipped() -> list[Probe]:
    return [probe for probe in probes().values() if probe.yaml_path.is_relative_to(tasks_path())]


def _common_name(names: Sequence[str]) -> str:
    """What all names begin with, up to a whole word, and a star where they go on differently."""
    words = [name.split("_") for name in names]
    shared = 0
    while all(len(each) > shared and each[shared] == words[0][shared] for each in words):
        shared += 1
    return "_".join(words[0][:shared]) + ("" if len(names) == 1 else "*" if [] in [w[shared:] for w in words] else "_*")


def _licences(sets: Iterable[Dataset]) -> str:
    """Each licence once, in its first words, and what it is of where there are several."""
    found: dict[str, list[str]] = {}
    for row in sets:
        found.setdefault(re.split(r"; | \(", row.licence)[0], []).append(row.name)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{licence} ({', '.join(names)})" for licence, names in found.items())


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [
        f"| {' | '.join(cells)} |" for cells in (head, *([cell.replace("|", "/") for cell in row] for row in rows))
    ]
    lines.insert(1, f"|{'---|' * len(head)}")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BoxlistError as error:
        sys.exit(str(error))
