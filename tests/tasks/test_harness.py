"""The probes under stock lmms-eval: they load, they ask, and they score exactly as `boxlist run` does."""

from __future__ import annotations

import json
import pickle
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.summary import task_scores
from boxlist.protocols import PROTOCOLS
from boxlist.tasks import harness
from boxlist.tasks.datasets.catalog import DATASETS, documents
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import probe_named, probes, render_prompt, score_rows, tasks_path
from boxlist.tasks.sealed import SEPARATOR, seal

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.tasks.datasets.split_folder import Document

pytestmark = [
    pytest.mark.usefixtures("shapes", "trees"),
    # what lmms-eval and the libraries it imports warn of is theirs
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::SyntaxWarning"),
]

QWEN = PROTOCOLS["norm1000_xyxy"]
PIXEL = PROTOCOLS["pixel_xyxy"]
LIMITS = {
    "boxlist_dense_bbox_shapes": 40,
    "boxlist_dense_bbox_trees": 38,
    "boxlist_inventory_shapes": 80,
    "boxlist_spatial_count_shapes": 33,
    "boxlist_absent_shapes": 40,
    "boxlist_shape_questions": 40,
    "boxlist_pointing_shapes": 36,
}


def asked(name: str) -> list[Document]:
    return documents(probe_named(name).dataset, "test")[: LIMITS[name]]


def odd_answers(name: str, document: Document, place: int) -> str:
    """Right answers, and every way in which a model fails, in turn."""
    probe = probe_named(name)
    right = KINDS[probe.kind].target(document, QWEN)
    neighbour = KINDS[probe.kind].target(asked(name)[place - 1], QWEN)
    pieces = right[1:-1].split("}, ")
    ways = [
        right,
        neighbour,
        right[: len(right) * 2 // 3],
        f"\n```json\n{right}\n```\n\n",
        f"  <think>[]</think> {right}\u3000",
        "",
        f"[{pieces[0].rstrip('}')}}}, {pieces[0].rstrip('}')}}}, {'}, '.join(pieces)}]",
        "I see nothing, </think> sorry: \ud83d\ude00 {{{",
        f"{right}{SEPARATOR}" + '{"boxlist":1,"protocol":"mine","finish":"repeat_stop","tokens":1,"frame":null}',
        '{"count": "3", "relation": "LEFT"}',
        '{"count": 2, "relation": "above"}',
        '[{"bbox_2d": [9, 9, 2, 2], "label": "tree"}, {"bbox_2d": [1e308, 1, 1e309, NaN], "label": "x"}]',
    ]
    return ways[place % len(ways)]


@pytest.fixture(scope="module")
def lmms_eval() -> Any:
    """lmms-eval's evaluator and task manager, imported once, its log silenced."""
    import lmms_eval.evaluator
    import lmms_eval.tasks
    from loguru import logger

    logger.disable("lmms_eval")
    return lmms_eval


@pytest.fixture(scope="module")
def manager(lmms_eval: Any) -> Any:
    return lmms_eval.tasks.TaskManager(include_path=str(tasks_path()), include_defaults=False, model_name="fake")


def fake_model(texts: dict[tuple[str, int], str], *, simple: bool = False) -> Any:
    """A model of lmms-eval that looks its answers up by task and document number."""
    from lmms_eval.api.model import lmms

    class Fake(lmms):  # type: ignore[misc]
        is_simple = simple
        seen: list[Any]

        def generate_until(self, requests: list[Any]) -> list[str]:
            self.seen = requests
            return [texts[request.args[-2], request.args[-3]] for request in requests]

        def loglikelihood(self, requests: list[Any]) -> list[Any]:
            raise NotImplementedError

        def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
            raise NotImplementedError

    return Fake()


def evaluate(lmms_eval: Any, manager: Any, name: str, model: Any, **options: Any) -> dict[str, Any]:
    options = {"limit": LIMITS[name], "bootstrap_iters": 0, "log_samples": True, **options}
    found: dict[str, Any] = lmms_eval.evaluator.simple_evaluate(
        model=model, tasks=[name], task_manager=manager, **options
    )
    return found


def as_boxlist_runs_it(name: str, answers: list[GivenAnswer], protocol: Any = QWEN) -> dict[str, Any]:
    probe = probe_named(name)
    rows = score_rows(probe, answers, documents(probe.dataset, "test"), protocol)
    return dict(task_scores(rows, probe.metrics))


def assert_same_figures(found: dict[str, Any], expected: dict[str, Any], name: str) -> None:
    """Equal to the last bit, for every metric and both ends of every interval."""
    results = found["results"][name]
    assert results["images,none"] == expected["n"]
    for metric, figure in expected["metrics"].items():
        for end in ("value", "ci_low", "ci_high"):
            key = metric if end == "value" else f"{metric}_{end}"
            if f"{key},none" in results:
                assert results[f"{key},none"] == figure[end], key
                assert type(results[f"{key},none"]) is type(figure[end])
            else:
                assert (metric, figure[end]) == ("max_repeat", None)
    logged = [sample["images"] for sample in found["samples"][name]]
    assert logged == expected["per_image"]


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
@pytest.mark.parametrize("name", LIMITS)
def test_figures_equal_those_of_boxlist_run(name: str, lmms_eval: Any, manager: Any) -> None:
    texts = {(name, place): odd_answers(name, document, place) for place, document in enumerate(asked(name))}
    expected = as_boxlist_runs_it(
        name, [GivenAnswer(document["image_id"], texts[name, place]) for place, document in enumerate(asked(name))]
    )
    assert any(0 < (figure["value"] or 0) < 1 for figure in expected["metrics"].values())
    # 36 questions about few pictures: these are resampled on both ways
    pictures = {document["pixels_sha256"] for document in asked(name)}
    assert expected.get("pictures") == (len(pictures) if name == "boxlist_pointing_shapes" else None)
    assert_same_figures(evaluate(lmms_eval, manager, name, fake_model(texts)), expected, name)


def test_sealed_answers_bring_their_protocol_trigger_and_tokens(lmms_eval: Any, manager: Any) -> None:
    name = "boxlist_dense_bbox_trees"
    answers = [
        GivenAnswer(document["image_id"], KINDS["dense_bbox"].target(document, PIXEL), place % 3 == 0, (64, 32), place)
        for place, document in enumerate(asked(name))
    ]
    texts = {
        (name, place): seal(
            answer.text,
            protocol=PIXEL,
            finish="repeat_stop" if answer.triggered else "eos",
            tokens=place,
            frame_wh_px=(64, 32),
        )
        for place, answer in enumerate(answers)
    }
    expected = as_boxlist_runs_it(name, answers, PIXEL)
    assert expected["metrics"]["f1@0.5"]["value"] == 1.0
    assert expected["metrics"]["trigger_rate"]["value"] == 13 / 38
    assert [row["tokens"] for row in expected["per_image"]] == list(range(38))
    assert_same_figures(evaluate(lmms_eval, manager, name, fake_model(texts)), expected, name)


def test_the_command_line_of_lmms_eval_changes_nothing(lmms_eval: Any, manager: Any) -> None:
    """It drops image columns before scoring, and strips what looks like reasoning."""
    name = "boxlist_dense_bbox_shapes"
    texts = {(name, place): odd_answers(name, document, place) for place, document in enumerate(asked(name))}
    arguments = Namespace(process_with_media=False, reasoning_tags='[["<think>", "</think>"]]')
    found = evaluate(lmms_eval, manager, name, fake_model(texts), cli_args=arguments)
    assert_same_figures(found, evaluate_plainly(name, texts), name)


def evaluate_plainly(name: str, texts: dict[tuple[str, int], str]) -> dict[str, Any]:
    answers = [GivenAnswer(document["image_id"], texts[name, place]) for place, document in enumerate(asked(name))]
    return as_boxlist_runs_it(name, answers)


def test_models_without_chat_are_asked_the_same(lmms_eval: Any, manager: Any) -> None:
    name = "boxlist_spatial_count_shapes"
    texts = {(name, place): odd_answers(name, document, place) for place, document in enumerate(asked(name))}
    model = fake_model(texts, simple=True)
    found = evaluate(lmms_eval, manager, name, model)
    context, _, doc_to_visual, doc_id, task, split = model.seen[3].args
    assert context == render_prompt(probe_named(name).prompt, QWEN, asked(name)[3]["question"])
    picture = doc_to_visual(model.task_dict[task][split][doc_id])[0]
    assert np.array_equal(np.asarray(picture), np.asarray(Image.open(asked(name)[3]["file"])))
    assert_same_figures(found, evaluate_plainly(name, texts), name)


@pytest.mark.parametrize("name", LIMITS)
def test_requests_carry_picture_prompt_template_and_question(name: str, lmms_eval: Any, manager: Any) -> None:
    task = lmms_eval.tasks.get_task_dict([name], manager, "chat")[name]
    assert task.lmms_eval_specific_kwargs["prompt"] == probe_named(name).prompt  # under a model name of no row
    task.build_all_requests(limit=3, rank=0, world_size=1)
    assert len(task.instances) == 3
    context, doc_to_messages, kwargs, doc_id, task_name, split = task.instances[2].args
    document = asked(name)[2]
    assert (doc_id, task_name, split) == (2, name, "test")
    assert kwargs == probe_named(name).generation_kwargs
    (turn,) = doc_to_messages(task.dataset[split][doc_id])
    picture, words = turn["content"]
    assert turn["role"] == "user"
    assert np.array_equal(np.asarray(picture["url"]), np.asarray(Image.open(document["file"]).convert("RGB")))
    assert words["text"] == context == render_prompt(words["template"], QWEN, words["question"])
    assert words["template"] == probe_named(name).prompt
    assert words["question"] == document["question"]  # and not the answer
    assert task.doc_to_target(task.dataset[split][doc_id]) == KINDS[probe_named(name).kind].target(document, QWEN)


def test_lmms_evals_own_chat_models_pass_the_extra_keys_over(lmms_eval: Any, manager: Any) -> None:
    from lmms_eval.protocol import ChatMessages

    name = "boxlist_spatial_count_shapes"
    task = lmms_eval.tasks.get_task_dict([name], manager, "chat")[name]
    messages = ChatMessages(messages=task.doc_to_messages(task.dataset["test"][0]))
    ((turn,), (openai,)) = messages.to_hf_messages(), messages.to_openai_messages()
    assert [sorted(part) for part in turn["content"]] == [["image", "type"], ["text", "type"]]
    assert [part["type"] for part in openai["content"]] == ["image_url", "text"]
    assert len(messages.extract_media()[0]) == 1


def test_the_tag_names_all_probes_whose_data_build_themselves_and_better_is_said(lmms_eval: Any, manager: Any) -> None:
    tasks = lmms_eval.tasks.get_task_dict(["boxlist"], manager, "chat")
    assert sorted(tasks) == [name for name, probe in probes().items() if DATASETS[probe.dataset].needs is None]
    better = tasks["boxlist_dense_bbox_shapes"].higher_is_better()
    assert (better["f1@0.3_ci_low"], better["duplicate_rate"], better["trigger_rate"]) == (True, False, None)


def test_few_images_and_undefined_figures_do_not_stop_lmms_eval(lmms_eval: Any, manager: Any) -> None:
    name = "boxlist_dense_bbox_shapes"
    with pytest.warns(UserWarning, match="2 images are fewer than 30"):
        found = evaluate(lmms_eval, manager, name, fake_model({(name, 0): "", (name, 1): "[]"}), limit=2)
    results = found["results"][name]
    assert (results["precision@0.3,none"], results["micro_recall@0.3,none"]) == (None, 0.0)
    from lmms_eval.utils import make_table

    assert "precision@0.3" in make_table(found)


def test_damaged_data_is_named_before_lmms_eval_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "shapes-v1").mkdir()
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path))
    with pytest.raises(InputError):
        harness.load_documents([{"dataset": "shapes", "split": "test"}])
    assert caplog.messages[0].startswith("data shapes, test split: expected the files that its manifest lists, got ")
    assert caplog.messages[0].endswith("Run: boxlist data build shapes")


def doc_of(document: Document) -> dict[str, Any]:
    return {"image_id": document["image_id"], "file": document["file"], "document": json.dumps(document)}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "null", "[", "{" * 100_000, "\x00\ud800", "9" * 5000, "[" * 100_000 + "]" * 100_000),
        *('{"count": 1e999, "relation": ["left"]}', '{"slot_1": {}}', '{"slot_1": null, "slot_1": 1}', "```json"),
        seal("[]", protocol="percent_xy", finish="eos", tokens=1, frame_wh_px=None),
        seal(
            '[{"bbox_2d": [1, 2, 3, 4], "label": "a"}]',
            protocol="loc1024_yxyx",
            finish="eos",
            tokens=1,
            frame_wh_px=None,
        ),
        seal(
            '[{"bbox_2d": [1, 2, 3, 4], "label": "a"}]',
            protocol="resized_pixel_xyxy",
            finish="length",
            tokens=1,
            frame_wh_px=(10, 10),
        ),
        '[{"bbox_2d": [1, 2, 3, 4], "label": "a"}]'
        + SEPARATOR
        + '{"boxlist":1,"protocol":"resized_pixel_xyxy","finish":"eos","tokens":1,"frame":null}',
    ],
)
def test_scoring_never_raises(kind: str, text: str) -> None:
    drawn = [p.dataset for p in probes().values() if p.kind == kind and DATASETS[p.dataset].needs is None]
    document = documents(drawn[0] if drawn else "shapes", "test")[0]
    document["question"].setdefault("classes", "red circle")  # part_inventory is asked of photographs alone
    figures = getattr(harness, f"process_{kind}")(doc_of(document), [text])
    assert figures["images"]["image_id"] == document["image_id"]
    json.dumps(figures, default=str)


def test_no_result_is_an_empty_answer() -> None:
    doc = doc_of(documents("shapes", "test")[0])
    assert harness.process_dense_bbox(doc, [])["images"] == harness.process_dense_bbox(doc, [""])["images"]


def test_figures_do_not_depend_on_the_order_in_which_ranks_hand_in() -> None:
    """lmms-eval joins the lists of its processes as 0, 2, 4, ..., 1, 3, 5, ..., after pickling them."""
    name = "boxlist_dense_bbox_shapes"
    scored = [
        harness.process_dense_bbox(doc_of(document), [odd_answers(name, document, place)])
        for place, document in enumerate(asked(name))
    ]
    joined = pickle.loads(pickle.dumps(scored[0::2] + scored[1::2]))  # noqa: S301 - our own bytes
    for key in ("f1@0.3", "mean_max_iou_ci_low", "duplicate_rate_ci_high"):
        end = getattr(harness, "ci_low" if key.endswith("low") else "ci_high" if key.endswith("high") else "value")
        assert end([figures[key] for figures in joined]) == end([figures[key] for figures in scored])


def test_a_log_of_samples_shows_a_figures_own_columns() -> None:
    document = documents("shapes", "test")[0]
    right = KINDS["dense_bbox"].target(document, QWEN)
    figures = harness.process_dense_bbox(doc_of(document), [right])
    count = len(document["objects"])
    assert str(figures["f1@0.3"]) == f"tp@0.3={count} n_pred={count} n_gt={count}"
