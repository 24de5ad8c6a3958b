"""PixMo-Points: the questions of the PaliGemma 2 pointing report, its images fetched from where they lie.

As in the report a random part of the rows is drawn, images are fetched, rows without points and files that are no RGB
pictures are left out, and a tenth is held out. Unlike there the split is by picture: rows share pictures, and a picture
is on one side only, by the pixels that are written. Every loss is counted, and printed beside the report's own table.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets.dataset import Dataset, Needs, Option
from boxlist.tasks.datasets.fetching import Limits, Wanted, fetch_all
from boxlist.tasks.datasets.fingerprints import file_sha256
from boxlist.tasks.datasets.image_files import read_image_files
from boxlist.tasks.datasets.pictures import FORMATS, whole_pictures_only
from boxlist.tasks.datasets.pixmo_rows import ChosenRows, Row, choose_rows, eval_urls, parquet_files
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.dataset import Order
    from boxlist.tasks.datasets.image_files import ImageFile

REPORT = {
    "initial random subset": 100_000,
    "after filtering for non-empty points": 71_328,
    "after downloading and caching": 99_574,
    "after final image validation": 70_914,
    "final training set (90%)": 63_822,
    "final validation set (10%)": 7_092,
}
"""Table 1 of the report, in the order of the stages here: the report fetched first, and then looked for points."""
CACHE = "pixmo_points-images"
_METHODS = ("all", "pointing", "counting")
_FETCH_OPTIONS = ("workers", "attempts", "timeout_s", "backoff_s", "private_addresses")


_RANGES: tuple[tuple[tuple[str, ...], float, float], ...] = (
    (("rows", "test_questions"), 0, 10**8),
    (("resize_px",), 0, 4096),
    (("validation_share",), 0.001, 0.999),
    (("workers", "attempts", "largest_mib"), 1, 256),
    (("timeout_s",), 0.1, 600),
    (("backoff_s",), 0, 600),
)


class Asked(NamedTuple):
    """A question whose image is there."""

    row: Row
    file: ImageFile


def build(order: Order) -> None:
    """Fetch what is not in the cache, and write both splits."""
    _check(order)
    files = parquet_files(order.source_folder)
    options = order.options
    most = 1 if options["points"] == "single" else None
    chosen = choose_rows(files, options["rows"], options["seed"], options["collection"], most)
    held_out = eval_urls(order.source_folder)
    if held_out is not None:
        kept = [row for row in chosen.rows if row.url not in held_out]
        chosen.dropped["in pixmo-points-eval"] = len(chosen.rows) - len(kept)
        chosen = chosen._replace(rows=kept)
    root, images, dropped = _images(order, chosen.rows)
    asked = [Asked(row, images[name]) for row in chosen.rows if (name := _wanted(row, order).name) in images]
    train, test = _split(asked, options["validation_share"], options["seed"])
    if not train or not test:
        raise InputError(
            f"data {order.dataset.name}",
            expected="questions on both sides of the split",
            got=f"{len(train)} and {len(test)}; dropped: {dict(chosen.dropped + dropped)}"[:300],
            remedy="Draw more rows, or look at what was dropped.",
        )
    notes = _funnel(chosen, dropped, len(asked), len(train), len(test), listed=held_out is not None)
    made_from = {"parquet_sha256": {path.name: file_sha256(path) for path in files}}
    for split, questions in (("train", train), ("test", _some(test, options["test_questions"], options["seed"]))):
        heading = order.heading(split, (), made_from=made_from, notes=notes)
        write_index(order.folder / split, heading, root, _entries(questions, 1 if split == "train" else 10**7))


def _check(order: Order) -> None:
    """Refuse numbers that mean nothing."""
    for names, least, most in _RANGES:
        for name in names:
            value = order.options[name]
            if not least <= value <= most:
                raise InputError(
                    f"--option {name} of {order.dataset.name}",
                    expected=f"a number from {least} to {most}",
                    got=str(value),
                    remedy="Correct it.",
                )


def _wanted(row: Row, order: Order) -> Wanted:
    return Wanted(row.url, row.image_sha256 if order.options["checksum"] else "")


def _images(order: Order, rows: Sequence[Row]) -> tuple[Path, dict[str, ImageFile], Counter[str]]:
    """The folder of the images, those that can be used by their names in it, and the rows lost, by reason."""
    from boxlist.tasks.datasets.catalog import data_root

    fetched = data_root() / CACHE
    options = order.options
    limits = Limits(largest_bytes=options["largest_mib"] << 20, **{name: options[name] for name in _FETCH_OPTIONS})
    reasons = fetch_all(fetched, (_wanted(row, order) for row in rows), limits, f"{order.dataset.name}: fetching")
    names = {wanted.name for wanted, reason in reasons.items() if reason is None}
    read = read_image_files(fetched, names, f"{order.dataset.name}: reading")
    faults: dict[str, str] = {name: bad.fault for name, bad in read.bad.items()}
    if options["only_rgb"]:
        faults |= {name: "not RGB" for name in read.good if not _is_rgb(fetched / name)}
    good = {name: file for name, file in read.good.items() if name not in faults}
    dropped: Counter[str] = Counter()
    for row in rows:
        wanted = _wanted(row, order)
        if reasons[wanted] is not None:
            dropped[f"not fetched: {reasons[wanted]}"] += 1
        elif wanted.name in faults:
            dropped[f"image: {faults[wanted.name]}"] += 1
    if options["resize_px"] == 0:
        return fetched, good, dropped
    return *_resized(fetched, good, options["resize_px"], order), dropped


def _resized(
    fetched: Path, good: Mapping[str, ImageFile], side_px: int, order: Order
) -> tuple[Path, dict[str, ImageFile]]:
    """Squares of `side_px`, as the report has them, in a folder of their own; percent stay what they are."""
    root = fetched.with_name(f"{fetched.name}-{side_px}px")
    for name in good:
        place = root / f"{name}.png"
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}")
        with Image.open(fetched / name, formats=FORMATS) as image:
            small = image.convert("RGB").resize((side_px, side_px), Image.Resampling.BICUBIC)
        small.save(beside, format="PNG")
        beside.replace(place)
    read = read_image_files(root, [f"{name}.png" for name in good], f"{order.dataset.name}: resized")
    if read.bad:
        bad = min(read.bad.values())
        raise InputError(
            f"{root / bad.name}", expected="a resized image", got=bad.detail, remedy=f"Delete {root} and build again."
        )
    return root, {name: read.good[f"{name}.png"] for name in good}


def _is_rgb(path: Path) -> bool:
    with whole_pictures_only(), Image.open(path, formats=FORMATS) as image:
        return image.mode == "RGB"


def _split(asked: Sequence[Asked], share: float, seed: int) -> tuple[list[Asked], list[Asked]]:
    """Questions whose picture is among the training ones, and the others; in their own order."""
    pictures = sorted({one.file.pixels_sha256 for one in asked})
    held_out = round(len(pictures) * share)
    order = np.random.default_rng([seed, 1]).permutation(len(pictures))
    validation = {pictures[place] for place in order[:held_out]}
    train = [one for one in asked if one.file.pixels_sha256 not in validation]
    return train, [one for one in asked if one.file.pixels_sha256 in validation]


def _some(asked: Sequence[Asked], count: int, seed: int) -> list[Asked]:
    """`count` of the questions in their own order, all where that is 0."""
    order = np.random.default_rng([seed, 2]).permutation(len(asked))
    return [asked[place] for place in sorted(order[: count or len(asked)].tolist())]


def _entries(questions: Sequence[Asked], first_id: int) -> list[Entry]:
    entries = []
    for number, (row, file) in enumerate(questions, start=first_id):
        points = [[x * file.width / 100, y * file.height / 100] for x, y in row.points_xy_percent]
        notes = {
            "question": {"label": row.label},
            "answer": {"points_xy_px": points},
            "row": row.number,
            "image_url": row.url,
            "collection_method": row.collection_method,
        }
        entries.append(Entry(number, file, (), notes))
    return entries


def _funnel(
    chosen: ChosenRows, dropped: Counter[str], n_valid: int, n_train: int, n_validation: int, *, listed: bool
) -> list[str]:
    """The losses stage by stage beside the report's, and then by reason."""
    lost = sum(count for reason, count in dropped.items() if reason.startswith("not fetched"))
    ours = (chosen.drawn, len(chosen.rows), len(chosen.rows) - lost, n_valid, n_train, n_validation)
    lines = [f"of {chosen.available} rows, a stage a line: here, in the report"]
    lines += [f"{stage}: {here}, {there}" for (stage, there), here in zip(REPORT.items(), ours, strict=True)]
    lines.append("the report downloaded before it looked for points, and split by row; here the split is by picture")
    reasons = chosen.dropped + dropped
    lines += [f"dropped, {reason}: {count}" for reason, count in sorted(reasons.items())]
    if not listed:
        lines.append("WARNING: no folder pixmo-points-eval beside the rows, so its images were not left out")
    return lines


DATASET = Dataset(
    "pixmo_points",
    1,
    "ODC-BY 1.0 (annotations); each image its own",
    "PixMo-Points (huggingface.co/datasets/allenai/pixmo-points)",
    build,
    size="100 questions",
    shares_pictures=True,
    needs=Needs(
        "a download of allenai/pixmo-points, with allenai/pixmo-points-eval in a folder pixmo-points-eval inside",
        "https://huggingface.co/datasets/allenai/pixmo-points",
    ),
    options=(
        Option("rows", 100_000, "How many rows to draw before anything is left out; 0 for all"),
        Option("seed", 0, "Of the drawing, and of the split"),
        Option("points", "any", "Questions with any number of points, or with one", ("any", "single")),
        Option("collection", "all", "Rows of one collection method", _METHODS),
        Option("validation_share", 0.1, "The share of the pictures that is held out"),
        Option("test_questions", 100, "How many held-out questions the test split has; 0 for all"),
        Option("only_rgb", True, "Leave out pictures that are not RGB, as the report does", (True, False)),
        Option("resize_px", 0, "The side of the squares that pictures are resized to, 224 in the report; 0 for none"),
        Option("checksum", True, "Take only bytes whose SHA-256 is the row's", (True, False)),
        Option("workers", 16, "How many downloads at once"),
        Option("attempts", 3, "How often a download is tried"),
        Option("timeout_s", 20.0, "How long to wait for a server, in seconds"),
        Option("backoff_s", 1.0, "The first wait between attempts, in seconds; each later one is twice as long"),
        Option("largest_mib", 32, "The largest file to take, in MiB"),
        Option("private_addresses", False, "Allow servers that are not on the open internet", (True, False)),
    ),
)
