"""The page: escaped whatever a model or a run folder says, the same bytes for the same runs, and no more than 10 MB."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from boxlist.reports.page.document import make_report
from boxlist.reports.page.views import make_views
from boxlist.reports.saved_runs import find_runs, read_saved_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.tasks.datasets.catalog import Document

SHAPES, INVENTORY = "boxlist_dense_bbox_shapes", "boxlist_inventory_shapes"
EVIL = (
    "</pre></title></svg></script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>"
    '<svg onload=window.hacked=3>" onmouseover="window.hacked=4" {{ 7 * 7 }} $x_1$ &amp; \u202e\ud800'
)


class Page(HTMLParser):
    """Every element with its attributes, and the text of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
            self._in_script = False


def report(*paths: Path, n_images: int = 80, said: list[str] | None = None) -> str:
    runs = [read_saved_run(run) for path in paths for run in find_runs(path)]
    return make_report(runs, n_images=n_images, say=(said if said is not None else []).append)


@pytest.fixture(scope="module")
def page(fake_runs: Path) -> str:
    return report(fake_runs)


def test_the_same_runs_give_the_same_bytes(fake_runs: Path, page: str) -> None:
    assert report(fake_runs) == page


def test_every_figure_is_drawn_when_there_are_data_for_all(page: str) -> None:
    assert "is not drawn" not in page
    for name in ("surface", "budget", "rank", "separability", "intervals", "thresholds", "places", "repeats"):
        assert f'id="g0-{name}-figure_1"' in page


def test_a_figure_without_data_says_what_would_give_it(fake_runs: Path) -> None:
    text = report(fake_runs / "r4-raw", n_images=1)
    assert "<strong>Budget</strong> is not drawn: it needs runs of one model with --controls budget=N" in text
    assert "<strong>Rank of the adapter</strong> is not drawn" in text
    assert "<strong>Control surface</strong> is not drawn" not in text


def test_only_the_pages_own_script_may_run(page: str) -> None:
    parsed = Page(page)
    (script,) = parsed.scripts
    (policy,) = (a["content"] for tag, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_nothing_comes_from_anywhere_else(page: str) -> None:
    for tag, attributes in Page(page).elements:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/webp;base64,")), (tag, name, value[:80])
    assert not re.search(r"url\((?!#)", page)


def test_identifiers_are_there_once(page: str) -> None:
    ids = [attributes["id"] for _, attributes in Page(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_pictures_are_there_once_for_all_runs_and_probes(page: str) -> None:
    sources = [attributes["src"] for tag, attributes in Page(page).elements if tag == "img"]
    assert len(sources) == len(set(sources)) == 12


def test_what_a_model_and_a_run_folder_say_stays_text(tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    def texts(document: Document) -> str:
        label = EVIL + "x" * (1_000_000 if document["image_id"] % 2 else 100)
        return json.dumps([{"bbox_2d": [10, 10, 500, 500], "label": label}] * 2)

    path = save_fake(
        tmp_path / "run", texts=texts, limit=3, base={"path": EVIL, "weights_sha256": EVIL}, tasks=(INVENTORY, SHAPES)
    )
    row = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**row, "name": EVIL, "controls": {EVIL: EVIL}}))
    text = report(path, n_images=3)
    parsed = Page(text)
    assert len(parsed.scripts) == 1
    assert [a for _, a in parsed.elements if any(name.startswith("on") for name in a)] == []
    assert {tag for tag, _ in parsed.elements} & {"iframe", "object", "embed", "base", "link"} == set()
    assert all((a.get("src") or "").startswith("data:") for tag, a in parsed.elements if tag == "img")
    assert "more characters are not shown" in text
    assert len(text) < 400_000


def test_a_run_whose_answers_are_gone_keeps_its_figures(tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    path = save_fake(tmp_path / "run")
    (path / "answers.jsonl").unlink()
    said: list[str] = []
    text = report(path, said=said)
    (line,) = said
    assert line.startswith(
        f"run, {SHAPES}: no answers shown: {path}/answers.jsonl: expected the run's answers, got none"
    )
    assert 'id="g0-surface-figure_1"' in text
    assert "No pictures: none of these runs has its answers beside it." in text


def test_torn_answers_are_refused_and_left_as_they_are(tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    path = save_fake(tmp_path / "run") / "answers.jsonl"
    torn = path.read_bytes()[:-10]
    path.write_bytes(torn)
    said: list[str] = []
    (view,) = make_views([read_saved_run(path.parent)], {}, said.append)
    assert view.answered is None
    assert "expected whole lines, got a torn last one" in said[0]
    assert path.read_bytes() == torn


def test_another_data_set_is_refused(tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    path = save_fake(tmp_path / "run")
    row = json.loads((path / "run.json").read_text())
    row["tasks"][SHAPES]["dataset"]["sha256"] = "0" * 64
    (path / "run.json").write_text(json.dumps(row))
    said: list[str] = []
    make_views([read_saved_run(path)], {}, said.append)
    assert "got another, 00000000" in said[0]


def test_photographs(tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    text = report(save_fake(tmp_path / "run", tasks=("boxlist_dense_bbox_trees",), limit=4))
    assert text.count("data:image/webp;base64,") == 4


def test_eighty_pictures_are_under_ten_megabytes(tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    text = report(save_fake(tmp_path / "run", limit=80))
    assert text.count("data:image/webp;base64,") == 80
    assert len(text) < 10_000_000
