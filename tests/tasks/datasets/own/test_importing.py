from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from boxlist.cli import main
from boxlist.errors import InputError
from boxlist.protocols import protocol_named
from boxlist.tasks.datasets.catalog import check_dataset, dataset_named, dataset_sha256, documents, list_datasets
from boxlist.tasks.datasets.own.importing import import_own, own_folder, own_task
from boxlist.tasks.probes import probe_named, probes, render_prompt

if TYPE_CHECKING:
    from pathlib import Path

CocoSet = Any  # the fixture's class lies in conftest.py, which is no module to import from


def files_of(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_a_set_is_a_data_set_with_a_probe(coco: CocoSet) -> None:
    name = import_own(coco.spec(), "pets")
    assert name == "pets"
    probe = probe_named("boxlist_dense_bbox_pets")
    assert (probe.kind, probe.dataset, probe.is_own) == ("dense_bbox", "pets", True)
    assert probe.metrics == probes()["boxlist_dense_bbox_shapes"].metrics
    assert render_prompt(probe.prompt, protocol_named("norm1000_xyxy")) == (
        "Detect every object of these classes in the image: cat, dog. Answer with a JSON list of "
        '{"bbox_2d": [x1, y1, x2, y2], "label": "..."} in thousandths of the image size, from 0 to 1000.'
    )
    found = documents("pets", "test")
    assert [document["image_id"] for document in found] == [11, 12, 13, 14]
    assert found[1]["file"] == str(coco.images / "deep" / "b.png")
    assert found[1]["objects"][0] == {"label": "dog", "box_xyxy_px": [0, 0, 60, 40]}
    assert check_dataset("pets") == []
    assert dataset_named("pets").splits == ("test",)
    assert next(row for row in list_datasets() if row["name"] == "pets")["images"] == {"test": 4}


def test_text_ids_are_numbered_and_kept(coco: CocoSet) -> None:
    for image in coco.content["images"]:
        image["id"] = f"i{image['id']}"
    for annotation in coco.content["annotations"]:
        annotation["image_id"] = f"i{annotation['image_id']}"
    import_own(coco.spec(), "pets")
    assert [document["image_id"] for document in documents("pets", "test")] == [1, 2, 3, 4]
    images = json.loads((own_folder("pets") / "test" / "annotations.json").read_bytes())["images"]
    assert [image["source_id"] for image in images] == ["i11", "i12", "i13", "i14"]


def test_the_same_files_make_the_same_set_wherever_they_lie(coco: CocoSet, tmp_path: Path) -> None:
    spec = coco.spec(split_share=0.5)
    name = import_own(spec)
    assert name.startswith("instances_")
    assert import_own(spec) == name
    first = files_of(own_folder(name))
    moved = type(coco)(coco.folder.rename(tmp_path / "moved"), coco.content)
    assert import_own(moved.spec(split_share=0.5)) == name
    second = files_of(own_folder(name))
    assert {path for path in first if first[path] != second[path]} == {
        "own.json",
        "test/manifest.json",
        "train/manifest.json",
    }
    assert str(tmp_path).encode() not in b"".join(c for path, c in second.items() if path.endswith("annotations.json"))
    assert import_own(moved.spec(split_share=0.25)) != name


def test_a_set_is_made_again_when_its_files_changed(coco: CocoSet) -> None:
    name = import_own(coco.spec(), "pets")
    before = dataset_sha256(name, "test")
    Image.new("RGB", (60, 40), "red").save(coco.images / "a.png")
    with pytest.raises(InputError, match=r"data pets, test split: .* Run: boxlist data build pets"):
        documents("pets", "test")
    assert import_own(coco.spec(), "pets") == name
    after = dataset_sha256(name, "test")
    assert after != before
    coco.box(14, 3, [1, 1, 5, 5])
    import_own(coco.spec(), "pets")
    assert len(documents("pets", "test")[3]["objects"]) == 1


def test_a_name_is_not_taken_over_unasked(coco: CocoSet) -> None:
    import_own(coco.spec(), "pets")
    with pytest.raises(InputError) as caught:
        import_own(coco.spec(classes=("dog",)), "pets")
    assert str(caught.value) == (
        f"{own_folder('pets')}: expected a new name, or the same files and choices, got a set that was made from "
        "others. Choose another name, or add --force to replace it."
    )
    import_own(coco.spec(classes=("dog",)), "pets", force=True)
    assert "classes in the image: dog." in probe_named("boxlist_dense_bbox_pets").prompt
    with pytest.raises(InputError, match=r"name shapes: expected a name of your own, got boxlist's own set"):
        import_own(coco.spec(), "shapes")
    for name in ("../x", "Pets", "", "x" * 61):
        with pytest.raises(InputError, match=r"expected small letters, digits and _, at most 60"):
            import_own(coco.spec(), name)


def test_a_refused_import_leaves_nothing(coco: CocoSet) -> None:
    coco.box(11, 3, [1, 1, 0, 5])
    with pytest.raises(InputError, match=r"expected no boxes without four finite numbers"):
        import_own(coco.spec(), "pets")
    with pytest.raises(InputError, match=r"test split: expected at least one image, got 4 images with fewer than 9"):
        import_own(coco.spec(min_objects=9, bad_boxes="drop"), "pets")
    assert list(own_folder("pets").parent.iterdir()) == []
    with pytest.raises(InputError, match=r"data set 'pets': expected one of"):
        documents("pets", "test")


def test_a_set_whose_record_is_damaged_is_named(coco: CocoSet) -> None:
    import_own(coco.spec(), "pets")
    (own_folder("pets") / "own.json").write_text("{")
    with pytest.raises(InputError, match=r"own\.json: expected what the set was made from, .* import the data again"):
        documents("pets", "test")


def test_the_commands(coco: CocoSet, capsys: pytest.CaptureFixture[str]) -> None:
    coco.box(11, 3, [1, 1, 0, 5])
    coco.spec()
    words = ["--coco", str(coco.file), "--images", str(coco.images)]
    assert main(["data", "check", *words]) == 2
    assert capsys.readouterr().out.startswith("no_extent: 1 boxes without four finite numbers and an extent")
    assert main(["data", "check", *words, "--classes", "dog"]) == 0
    assert capsys.readouterr().out == "nothing is wrong with it\n"
    assert main(["data", "import", "pets", *words]) == 2
    assert capsys.readouterr().err.startswith(f"boxlist: {coco.file}: expected no boxes without four finite numbers")
    assert main(["data", "import", "pets", *words, "--bad-boxes", "drop", "--split-share", "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("pets train: 2 images, ")
    assert lines[-1] == f"lmms-eval --include_path {own_folder('pets')} --tasks boxlist_dense_bbox_pets ..."
    assert main(["data", "check", "pets"]) == 0
    assert main(["data", "list"]) == 0
    assert "pets" in capsys.readouterr().out
    assert main(["data", "build", "pets", "--force"]) == 0
    assert dataset_named("pets").splits == ("train", "test")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "import", "pets"], "data import: expected --coco, --yolo or --voc, got none of them"),
        (["data", "import", "--yolo", "."], "data import: expected the name of a data set, got none"),
        (["data", "check", "--yolo", ".", "--voc", "."], "your own images: expected one of --coco, --yolo, --voc"),
        (["data", "check", "--yolo", ".", "--images", "."], "your own images: expected one of --coco, --yolo, --voc"),
        (["data", "check", "--coco", "none.json"], "--images: expected the folder that the file names count from"),
        (
            ["data", "check", "--coco", "none.json", "--images", "."],
            "none.json: expected a COCO file, got no",
        ),
        (["data", "check", "--yolo", ".", "--alias", "x"], "--alias 'x': expected OLD=NEW"),
        (["data", "check", "--yolo", ".", "--split-share", "1"], "--split-share: expected a share from 0 to below 1"),
        (
            ["data", "check", "--yolo", ".", "--min-objects", "3", "--max-objects", "2"],
            "--max-objects: expected",
        ),
    ],
)
def test_wrong_words_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def run_words(coco: CocoSet, pocket: Path, out: Path, name: str, *more: str) -> list[str]:
    own = ["--tasks", "dense_bbox", "--coco", str(coco.file), "--images", str(coco.images)]
    model = ["--model-args", f"pretrained={pocket},device=cpu", "--max-new-tokens", "24"]
    return ["run", *own, *model, "--out", str(out), "--name", name, *more]


def test_a_run_on_ones_own_images(
    coco: CocoSet, pocket_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: run, resume, replay, compare, leaderboard, export, and a change that is refused."""
    coco.spec()
    out = tmp_path / "runs"
    words = run_words(coco, pocket_base, out, "raw")
    assert main([*words, "--limit", "2"]) == 0
    run = json.loads((out / "raw" / "run.json").read_bytes())
    (task,) = run["tasks"]
    dataset = run["tasks"][task]["dataset"]
    assert own_task(dataset["name"]) == task
    assert dataset["sha256"] == dataset_sha256(dataset["name"], "test")
    assert len(dataset["made_from"]["annotations_sha256"]) == 64
    assert dataset["made_from"]["crowd"] == "drop"
    answers = (out / "raw" / "answers.jsonl").read_bytes()
    assert main(words) == 0
    assert "raw: 4 answers, 2 of them new" in capsys.readouterr().out
    assert (out / "raw" / "answers.jsonl").read_bytes().startswith(answers)
    assert main(["replay", str(out / "raw"), "--controls", "repeat_stop", "--out", str(out), "--name", "stop"]) == 0
    assert main(["compare", str(out / "raw"), str(out / "stop")]) == 0
    assert main(["leaderboard", str(out / "raw"), str(out / "stop")]) == 0
    assert main(["export", str(out / "raw"), "--format", "coco", "--out", str(tmp_path / "r.json")]) == 0
    assert main([*words[:2], "boxlist_dense_bbox_shapes", *words[3:]]) == 2
    assert "--tasks: expected dense_bbox, for your own images" in capsys.readouterr().err
    coco.box(14, 3, [1, 1, 5, 5])
    coco.spec()
    assert main(words) == 2
    assert "expected the inputs that its answers were made from" in capsys.readouterr().err
