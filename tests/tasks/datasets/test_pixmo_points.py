"""PixMo-Points from parquet files in its own format and a server of drawn images: every loss has its line."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset, documents
from boxlist.tasks.datasets.manifest import ANNOTATIONS, MANIFEST, read_manifest
from boxlist.tasks.probes import probe_named, render_prompt, score_rows

from .image_server import ImageServer, bomb, drawn, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPTIONS = {"rows": 0, "validation_share": 0.3, "attempts": 2, "backoff_s": 0.0, "private_addresses": True}
SCHEMA = pa.schema(
    [
        ("image_url", pa.string()),
        ("image_sha256", pa.string()),
        ("points", pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64())]))),
        ("count", pa.int64()),
        ("label", pa.string()),
        ("collection_method", pa.string()),
    ]
)


@pytest.fixture(scope="module")
def server() -> Iterator[ImageServer]:
    with serving() as running:
        yield running


def row(
    server: ImageServer, path: str, *points: tuple[float, float], label: str = "cat", **other: Any
) -> dict[str, Any]:
    body = drawn(int(path.split("/")[1]), "L" if path.startswith("grey") else "RGB") if path[-1].isdigit() else b""
    return {
        "image_url": server.url(path),
        "image_sha256": hashlib.sha256(body).hexdigest(),
        "points": [{"x": x, "y": y} for x, y in points],
        "count": len(points),
        "label": label,
        "collection_method": "pointing",
        **other,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


@pytest.fixture
def source(server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten good pictures, each asked about twice, and one row for each way in which a row is lost."""
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    server.asked.clear()
    good = [
        row(server, f"image/{number}", *points, label=label)
        for number in range(10)
        for label, points in (("cat", [(25.0, 50.0)]), ("two  dogs", [(75.0, 10.0), (0.0, 100.0)]))
    ]
    words = hashlib.sha256(b"<html>not here any more</html>").hexdigest()
    lost = [
        row(server, "image/20"),
        row(server, "image/21", (300.0, 20.0)),
        row(server, "image/22", (-0.1, 20.0)),
        row(server, "image/23", (1.0, 2.0), label=" "),
        row(server, "image/24", (1.0, 2.0), label="a" * 300),
        row(server, "status/404", (1.0, 2.0)),
        row(server, "image/25", (1.0, 2.0), image_sha256="0" * 64),
        row(server, "words/1", (1.0, 2.0), image_sha256=words),
        row(server, "grey/3", (1.0, 2.0)),
        row(server, "bomb/0", (1.0, 2.0), image_sha256=hashlib.sha256(bomb()).hexdigest()),
        row(server, "x", (1.0, 2.0), image_url="file:///etc/passwd"),
        row(server, "image/30", (1.0, 2.0)),
    ]
    folder = tmp_path / "pixmo-points"
    write(folder / "data" / "train-00000-of-00002.parquet", good)
    write(folder / "data" / "train-00001-of-00002.parquet", lost)
    eval_row = [row(server, "image/30", (1.0, 2.0))]
    write(folder / "pixmo-points-eval" / "data" / "test-00000-of-00001.parquet", eval_row)
    return folder


FUNNEL = """\
of 32 rows, a stage a line: here, in the report
initial random subset: 32, 100000
after filtering for non-empty points: 26, 71328
after downloading and caching: 23, 99574
after final image validation: 20, 70914
final training set (90%): 14, 63822
final validation set (10%): 6, 7092
the report downloaded before it looked for points, and split by row; here the split is by picture
dropped, image: not RGB: 1
dropped, image: oversized: 1
dropped, image: unreadable: 1
dropped, in pixmo-points-eval: 1
dropped, no points: 1
dropped, no usable label: 2
dropped, not fetched: address: 1
dropped, not fetched: checksum: 1
dropped, not fetched: http_404: 1
dropped, points outside 0 to 100: 2
"""


def test_every_loss_is_told(source: Path) -> None:
    build_dataset("pixmo_points", source, OPTIONS)
    told = describe_dataset("pixmo_points")
    assert told[0] == "pixmo_points train: 7 images, 0 boxes"
    assert [line.strip() for line in told[1 : 1 + len(FUNNEL.splitlines())]] == FUNNEL.splitlines()
    assert check_dataset("pixmo_points") == []


def test_questions_are_points_in_pixels(source: Path) -> None:
    build_dataset("pixmo_points", source, {**OPTIONS, "test_questions": 0})
    asked = documents("pixmo_points", "test")
    assert len(asked) == 6
    by_label = {document["question"]["label"]: document for document in asked}
    assert by_label["cat"]["answer"] == {"points_xy_px": [[10.0, 10.0]]}
    assert by_label["two dogs"]["answer"] == {"points_xy_px": [[30.0, 2.0], [0.0, 20.0]]}
    train = documents("pixmo_points", "train")
    assert {document["pixels_sha256"] for document in train}.isdisjoint(d["pixels_sha256"] for d in asked)
    assert len({document["image_id"] for document in train + asked}) == 20


def test_the_probe_scores_them(source: Path) -> None:
    build_dataset("pixmo_points", source, {**OPTIONS, "test_questions": 0})
    probe, asked = probe_named("boxlist_pointing_pixmo"), documents("pixmo_points", "test")
    prompts = {render_prompt(probe.prompt, PROTOCOLS["percent_xy"], document["question"]) for document in asked}
    assert prompts == {"Point to cat", "Point to two dogs"}
    answers = [
        GivenAnswer(
            document["image_id"],
            '<point x="25.0" y="50.0">cat</point>'
            if document["question"]["label"] == "cat"
            else '<points x1="0.0" y1="100.0" x2="75.0" y2="10.0" alt="two dogs">two dogs</points>',
        )
        for document in asked
    ]
    rows = score_rows(probe, answers, asked, PROTOCOLS["norm1000_xyxy"])
    assert [(line["distance"], line["near_tp"] == line["n_gt"], line["parse_valid"]) for line in rows] == [
        (0.0, True, True)
    ] * 6


def test_a_second_build_asks_nothing_and_is_equal(source: Path, server: ImageServer) -> None:
    place = build_dataset("pixmo_points", source, OPTIONS)
    names = [f"{split}/{name}" for split in ("train", "test") for name in (ANNOTATIONS, MANIFEST)]
    before = {name: (place / name).read_bytes() for name in names}
    asked = server.asked.total()
    build_dataset("pixmo_points", source, OPTIONS, force=True)
    assert {name: (place / name).read_bytes() for name in names} == before
    assert server.asked.total() == asked


def test_resizing_is_recorded_and_percent_stay(source: Path) -> None:
    place = build_dataset("pixmo_points", source, {**OPTIONS, "resize_px": 224})
    assert read_manifest(place / "test")["options"]["resize_px"] == 224
    (cat, *_) = (d for d in documents("pixmo_points", "test") if d["question"]["label"] == "cat")
    assert (cat["width"], cat["height"], cat["answer"]) == (224, 224, {"points_xy_px": [[56.0, 112.0]]})
    with Image.open(cat["file"]) as image:
        assert (image.size, image.mode) == ((224, 224), "RGB")


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"points": "single"}, 10),
        ({"only_rgb": False}, 21),
        ({"checksum": False}, 21),
        ({"collection": "counting"}, 0),
        ({"rows": 12, "seed": 3}, None),
    ],
)
def test_options_choose_rows(options: dict[str, Any], rows: int | None, source: Path) -> None:
    if rows == 0:
        with pytest.raises(InputError, match=r"expected questions on both sides of the split, got 0 and 0; dropped: "):
            build_dataset("pixmo_points", source, {**OPTIONS, **options})
        return
    build_dataset("pixmo_points", source, {**OPTIONS, "test_questions": 0, **options})
    found = [document for split in ("train", "test") for document in documents("pixmo_points", split)]
    assert len(found) == rows if rows else 0 < len(found) < 12


def test_without_the_evaluation_set_it_warns(source: Path) -> None:
    (source / "pixmo-points-eval" / "data" / "test-00000-of-00001.parquet").unlink()
    build_dataset("pixmo_points", source, OPTIONS)
    assert any("WARNING: no folder pixmo-points-eval" in line for line in describe_dataset("pixmo_points"))


def test_private_addresses_need_the_option(source: Path, server: ImageServer) -> None:
    with pytest.raises(InputError, match=re.escape("'not fetched: private': 25")):
        build_dataset("pixmo_points", source, {**OPTIONS, "private_addresses": False})
    assert not server.asked


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda file: file.write_bytes(b"PAR1 not"), r"train-00000-of-00002\.parquet: expected a parquet file, got "),
        (
            lambda file: pq.write_table(pa.table({"image_url": ["a"]}), file),
            r"expected a column image_sha256, got image_url\. Give the folder of allenai/pixmo-points\.",
        ),
        (
            lambda file: pq.write_table(
                pa.table({name: ["a"] for name in SCHEMA.names if name != "points"} | {"points": [[{"x": 1.0}]]}), file
            ),
            r"row 0: points: expected a list of \{x, y\}, got \[\{'x': 1\.0\}\]",
        ),
    ],
    ids=["no parquet", "other columns", "other points"],
)
def test_files_that_are_not_the_data_set(break_it: Any, message: str, source: Path) -> None:
    break_it(source / "data" / "train-00000-of-00002.parquet")
    with pytest.raises(InputError, match=message):
        build_dataset("pixmo_points", source, OPTIONS)


def test_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected the \.parquet files of allenai/pixmo-points, got none"):
        build_dataset("pixmo_points", tmp_path / "empty", OPTIONS)
    with pytest.raises(InputError, match=r"--option workers of pixmo_points: expected a number from 1 to 256, got 0"):
        build_dataset("pixmo_points", tmp_path / "empty", {"workers": 0})
