"""`boxlist_hf` on a model that repeats for certain: live controls against offline replay, rows, prompts, endings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from boxlist.controls.list_watch import Stopped, replay
from boxlist.controls.table import Controls
from boxlist.errors import InputError
from boxlist.tasks.datasets.shapes import draw_scene, render
from boxlist.tasks.probes import probe_named, render_prompt
from boxlist.tasks.sealed import unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from boxlist.models.answers import ModelAnswer
    from boxlist.models.hf import BoxlistHF

RAW: dict[str, Any] = {"max_new_tokens": 160}
STOP = {**RAW, "repeat_stop": True}


@pytest.fixture
def model(recite: BoxlistHF) -> Iterator[BoxlistHF]:
    yield recite
    recite.batch_size = 1


@pytest.fixture(scope="module")
def scenes(recitations: Any) -> dict[str, str]:
    """The prompts without a budget, and what the model recites."""
    return {prompt: answer for prompt, answer in recitations.answers.items() if "Return" not in prompt}


def asked(
    model: BoxlistHF, ask: Callable[..., list[Any]], rows: list[tuple[str, dict[str, Any], str]]
) -> list[ModelAnswer]:
    requests = ask(model, rows)
    found = dict(model.answers(requests))
    assert sorted(found) == list(range(len(requests))), "every request is answered, once"
    return [found[index] for index in range(len(requests))]


def ends(answers: list[ModelAnswer]) -> list[Stopped]:
    """The answers as `replay` gives them."""
    return [Stopped(answer.text, answer.finish if answer.triggered else None) for answer in answers]


def counted(answer: ModelAnswer) -> int:
    """The tokens of an answer, which this model always counts."""
    assert answer.tokens is not None
    return answer.tokens


def test_the_model_recites(model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str]) -> None:
    """What the other tests stand on: raw answers are the lists learnt by heart, and most of them repeat."""
    model.batch_size = 12
    answers = asked(model, ask, [(prompt, RAW, "a") for prompt in scenes])
    assert [answer.text for answer in answers] == list(scenes.values())
    assert {answer.finish for answer in answers} == {"eos"}
    assert sum(replay(answer.text, model.protocol).triggered for answer in answers) >= 5


@pytest.mark.parametrize("batch_size", [1, 2, 7, 32])
def test_live_repeat_stop_equals_offline_replay(
    model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str], batch_size: int
) -> None:
    model.batch_size = batch_size
    prompts = (list(scenes) * 3)[: 36 if batch_size == 32 else 12]
    raw = asked(model, ask, [(prompt, RAW, "a") for prompt in prompts])
    live = asked(model, ask, [(prompt, STOP, "a") for prompt in prompts])
    assert ends(live) == [replay(answer.text, model.protocol) for answer in raw]
    assert {answer.finish for answer in live} == {"eos", "repeat_stop"}
    for before, after in zip(raw, live, strict=True):
        assert counted(after) <= counted(before)
        json.loads(after.text.removeprefix("```json").removesuffix("```"))


@pytest.mark.parametrize(
    "control",
    [{"repeat_limit": 2}, {"stale_stop": 2}, {"near_repeat_stop": 0.3}, {"max_items": 3}, {"repeat_skip": True}],
    ids=str,
)
def test_every_control_on_the_list_equals_its_replay(
    model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str], control: dict[str, Any]
) -> None:
    model.batch_size = 7
    raw = asked(model, ask, [(prompt, RAW, "a") for prompt in scenes])
    live = asked(model, ask, [(prompt, {**RAW, **control}, "a") for prompt in scenes])
    assert ends(live) == [replay(answer.text, model.protocol, Controls(**control)) for answer in raw]
    assert [answer.text for answer in live] != [answer.text for answer in raw], "it did something"
    assert sum(map(counted, live)) <= sum(map(counted, raw))


def test_a_control_on_one_row_changes_no_other(
    model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str]
) -> None:
    """Requests of every kind in one call, each answered as if it were alone."""
    kinds: list[dict[str, Any]] = [
        RAW, STOP, {**RAW, "budget": 2}, {**STOP, "budget": 2}, {**RAW, "repetition_penalty": 5.0},
        {**RAW, "no_repeat_ngram_size": 2}, {**RAW, "max_new_tokens": 9}, {**RAW, "until": ["label"]},
    ]  # fmt: skip
    rows = [(prompt, kind, task) for prompt in list(scenes)[:3] for kind in kinds for task in ("a", "b")]
    model.batch_size = 4
    together = asked(model, ask, rows)
    model.batch_size = 1
    alone = [asked(model, ask, [row])[0] for row in rows[::2]]
    assert together[::2] == together[1::2] == alone
    texts = {answer.text for answer in together[:16]}
    assert len(texts) >= 6, "the kinds do differ from one another"


def test_budget_is_a_sentence_at_the_end_of_the_prompt(
    model: BoxlistHF, ask: Callable[..., list[Any]], recitations: Any
) -> None:
    model.batch_size = 4
    raw, two, three = asked(
        model,
        ask,
        [("Scene 2.", RAW, "a"), ("Scene 2.", {**RAW, "budget": 2}, "a"), ("Scene 2.", {**RAW, "budget": 3}, "a")],
    )
    assert [answer.prompt for answer in (raw, two, three)] == [
        "Scene 2.", "Scene 2. Return at most 2 objects.", "Scene 2. Return at most 3 objects.",
    ]  # fmt: skip
    assert raw.text == recitations.answers["Scene 2."]
    assert two.text == recitations.answers["Scene 2. Return at most 2 objects."]


def test_tasks_never_share_a_batch(
    model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    encode = model._encode

    def seen(conversations: list[Any]) -> Any:
        batches.append(len(conversations))
        return encode(conversations)

    monkeypatch.setattr(model, "_encode", seen)
    model.batch_size = 4
    prompts = list(scenes)[:6]
    answers = asked(model, ask, [(prompt, RAW, "ab"[row % 2]) for row, prompt in enumerate(prompts)])
    assert batches == [3, 3]
    assert [answer.text for answer in answers] == [scenes[prompt] for prompt in prompts]
    assert [answer.prompt for answer in answers] == prompts


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("which", ["pocket", "recite"])
def test_raw_answers_are_generate_s_own(
    request: pytest.FixtureRequest, ask: Callable[..., list[Any]], which: str, batch_size: int
) -> None:
    """One prompt at a time through transformers itself, against padded batches here."""
    model: BoxlistHF = request.getfixturevalue(which)
    model.batch_size = batch_size
    prompts = ["Scene 1.", "Detect.", "Scene 2. Return at most 2 objects.", "Name the objects in reading order. " * 3]
    rows = [(prompt, {"max_new_tokens": 24}, "a") for prompt in prompts]
    answers = asked(model, ask, rows)
    image = Image.new("RGB", (224, 224), "white")
    for prompt, answer in zip(prompts, answers, strict=True):
        text = (
            f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{prompt}<|im_end|>\n<|im_start|>assistant\n"
        )
        inputs = model.processor(text=[text], images=[image], return_tensors="pt")
        with torch.inference_mode():
            output = model.model.generate(**inputs, max_new_tokens=24, do_sample=False)
        new = output[0, inputs["input_ids"].shape[1] :]
        assert answer.text == model.processor.tokenizer.decode(new, skip_special_tokens=True)
        assert answer.tokens == len(new)
        assert answer.finish == ("eos" if new[-1] == model.processor.tokenizer.eos_token_id else "length")
    if which == "recite":
        assert len({answer.text for answer in answers[:3]}) >= 2, "the answers follow the prompts"


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """An empty picture and drawn scenes of 3 to 10 objects."""
    rng = np.random.default_rng(11)
    scenes = [render(draw_scene(rng, 3 + number % 8)) for number in range(31)]
    return [Image.new("RGB", (224, 224), "white"), *map(Image.fromarray, scenes)]


@pytest.mark.parametrize(("batch_size", "n"), [(1, 3), (2, 4), (7, 14), (32, 32)])
def test_the_pocket_base_stops_live_as_it_does_in_replay(
    pocket: BoxlistHF, ask: Callable[..., list[Any]], pictures: list[Image.Image], batch_size: int, n: int
) -> None:
    """The dense-box probe's own prompt, to which the trained base writes lists that repeat for some pictures."""
    pocket.batch_size = batch_size
    prompt = render_prompt(probe_named("boxlist_dense_bbox_shapes").prompt, pocket.protocol)
    runs = []
    for control in ({}, {"repeat_stop": True}):
        requests = ask(pocket, [(prompt, {"max_new_tokens": 256, **control}, "a")] * n)
        for document, picture in zip(pocket.task_dict["a"]["test"], pictures, strict=False):
            document["image"] = picture
        found = dict(pocket.answers(requests))
        runs.append([found[index] for index in range(n)])
    raw, live = runs
    assert ends(live) == [replay(answer.text, pocket.protocol) for answer in raw]
    if batch_size == 32:
        assert 0 < sum(answer.triggered for answer in live) < n, "some lists repeat, and some do not"


def test_finish_reasons_and_tokens(model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str]) -> None:
    tokenizer = model.processor.tokenizer
    model.batch_size = 3
    ended, cut, stopped = asked(
        model, ask, [("Scene 4.", RAW, "a"), ("Scene 4.", {**RAW, "max_new_tokens": 9}, "a"), ("Scene 5.", STOP, "a")]
    )
    assert (ended.finish, ended.tokens, ended.triggered) == ("eos", len(tokenizer(ended.text)["input_ids"]) + 1, False)
    assert (cut.finish, cut.tokens) == ("length", 9)
    assert scenes["Scene 4."].startswith(cut.text)
    assert (stopped.finish, stopped.triggered) == ("repeat_stop", True)
    written = tokenizer(scenes["Scene 5."])["input_ids"][: stopped.tokens]
    assert replay(tokenizer.decode(written), model.protocol).triggered, "it stopped no earlier than it had to"
    assert not replay(tokenizer.decode(written[:-1]), model.protocol).triggered, "and no later"


def test_until_cuts(model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str]) -> None:
    cut, stopped, held = asked(
        model,
        ask,
        [
            ("Scene 5.", {**RAW, "until": ["}, {", "zzz"]}, "a"),
            ("Scene 5.", {**STOP, "until": ["zzz"]}, "a"),
            ("Scene 1.", {**RAW, "until": "red circle"}, "a"),
        ],
    )
    assert (cut.text, cut.finish) == (scenes["Scene 5."].split("}, {")[0], "eos")
    assert stopped.text == replay(scenes["Scene 5."], model.protocol).text
    assert held.text == scenes["Scene 1."].split("red circle")[0]


def test_sampling_follows_its_seed_and_leaves_the_global_one_alone(
    model: BoxlistHF, ask: Callable[..., list[Any]]
) -> None:
    hot = {"max_new_tokens": 16, "temperature": 20.0}
    model.batch_size = 2
    rows = [("Scene 1.", hot, "a"), ("Scene 2.", hot, "a")]
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    first, again = asked(model, ask, rows), asked(model, ask, rows)
    other = asked(model, ask, [(prompt, {**kwargs, "seed": 1}, task) for prompt, kwargs, task in rows])
    assert first == again
    assert first != other
    assert first[0].text != first[1].text
    assert torch.equal(state, torch.random.get_rng_state())


def test_generate_until_gives_sealed_texts_in_order(
    model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str]
) -> None:
    model.batch_size = 5
    prompts = list(scenes)
    requests = ask(model, [(prompt, STOP if row % 2 else RAW, "ab"[row % 2]) for row, prompt in enumerate(prompts)])
    sealed = [unseal(text) for text in model.generate_until(requests)]
    for row, (answer, expected) in enumerate(zip(sealed, scenes.values(), strict=True)):
        stopped = replay(expected, model.protocol)
        assert answer.text == (stopped.text if row % 2 else expected)
        assert answer.triggered == bool(row % 2 and stopped.triggered)
        assert answer.protocol == model.protocol
        assert answer.tokens


def test_answers_arrive_as_they_end_and_a_failure_is_not_swallowed(
    model: BoxlistHF, ask: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.batch_size = 2
    requests = ask(model, [(f"Scene {scene}.", RAW, "a") for scene in range(4)])
    generate = model.model.generate
    calls = []

    def fails_the_second_time(**kwargs: Any) -> Any:
        calls.append(kwargs)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return generate(**kwargs)

    monkeypatch.setattr(model.model, "generate", fails_the_second_time)
    arriving = model.answers(requests)
    _, first = next(arriving)
    assert len(calls) == 1
    assert first.text
    with pytest.raises(RuntimeError, match="out of memory"):
        list(arriving)


def test_wrong_kwargs_are_refused_before_anything_is_generated(model: BoxlistHF, ask: Callable[..., list[Any]]) -> None:
    requests = ask(model, [("Scene 1.", RAW, "a"), ("Scene 1.", {"max_tokens": 4}, "a")])
    with pytest.raises(
        InputError, match=r"generation kwarg 'max_tokens': expected one of .* Did you mean max_new_tokens"
    ):
        next(model.answers(requests))


def test_other_kinds_of_request_are_refused(model: BoxlistHF) -> None:
    with pytest.raises(InputError, match="expected tasks with output_type generate_until, got generate_until_multi"):
        model.generate_until_multi_round([])


def test_clean_keeps_the_model(model: BoxlistHF, ask: Callable[..., list[Any]], scenes: dict[str, str]) -> None:
    """lmms-eval cleans a model after each evaluation; a second one must still work."""
    model.clean()
    assert asked(model, ask, [("Scene 4.", RAW, "a")])[0].text == scenes["Scene 4."]
    assert (model.rank, model.world_size, model.device.type, model.is_simple) == (0, 1, "cpu", False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "boxlist_hf: expected pretrained=CHECKPOINT, got none. Give a folder or a hub id."),
        ({"pretraind": "x"}, "model argument 'pretraind': expected one of"),
        ({"pretrained": "x", "protocol": "norm1000"}, "protocol 'norm1000': expected one of"),
        ({"pretrained": "x", "batch_size": "auto"}, "batch_size: expected a whole number of 1 or more, got 'auto'."),
        ({"pretrained": "x", "batch_size": 0}, "got 0."),
        ({"pretrained": "x", "seed": -1}, "model argument seed: expected a whole number of 0 or more, got -1."),
        ({"pretrained": "x", "trust_remote_code": "yes"}, "trust_remote_code: expected True or False, got 'yes'."),
        ({"pretrained": "/no/such"}, "checkpoint '/no/such': expected a folder, or a hub id"),
        ({"pretrained": "POCKET", "device": "cuda:99"}, "device 'cuda:99': expected auto, cpu, or a device of"),
        ({"pretrained": "POCKET", "dtype": "int8"}, "dtype 'int8': expected one of auto, bfloat16, float16, float32"),
        ({"pretrained": "POCKET", "adapter": "/no/adapter"}, "adapter '/no/adapter': expected a folder, or a hub id"),
    ],
)  # fmt: skip
def test_wrong_model_arguments(pocket_base: Path, arguments: dict[str, Any], message: str) -> None:
    from boxlist.models.hf import BoxlistHF

    given: dict[str, Any] = {
        name: str(pocket_base) if value == "POCKET" else value for name, value in arguments.items()
    }
    with pytest.raises(InputError) as caught:
        BoxlistHF(**given)
    assert message in str(caught.value)


def test_an_adapter_changes_the_answers_and_the_controls_still_hold(
    recitations: Any, ask: Callable[..., list[Any]], scenes: dict[str, str], tmp_path: Path
) -> None:
    import warnings

    from peft import LoraConfig, get_peft_model

    from boxlist.models.hf import BoxlistHF
    from boxlist.models.loading import load_processor_and_model

    _, base = load_processor_and_model(str(recitations.folder), device="cpu")
    with warnings.catch_warnings():  # peft 0.21 uses a name that transformers 5.23 deprecates
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    wrapped.save_pretrained(tmp_path / "zeros")
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=1.0, generator=torch.Generator().manual_seed(3))
    wrapped.save_pretrained(tmp_path / "noise")
    rows = [(prompt, RAW, "a") for prompt in list(scenes)[:4]]
    zeros = BoxlistHF(str(recitations.folder), adapter=str(tmp_path / "zeros"), batch_size=4, device="cpu")
    noise = BoxlistHF(str(recitations.folder), adapter=str(tmp_path / "noise"), batch_size=4, device="cpu")
    assert [answer.text for answer in asked(zeros, ask, rows)] == list(scenes.values())[:4]
    raw = asked(noise, ask, rows)
    assert [answer.text for answer in raw] != list(scenes.values())[:4]
    live = asked(noise, ask, [(prompt, STOP, task) for prompt, _, task in rows])
    assert ends(live) == [replay(answer.text, noise.protocol) for answer in raw]


def test_bfloat16_runs_on_a_cpu(recitations: Any, ask: Callable[..., list[Any]], scenes: dict[str, str]) -> None:
    from boxlist.models.hf import BoxlistHF

    model = BoxlistHF(str(recitations.folder), dtype="bfloat16", device="cpu")
    assert model.model.dtype is torch.bfloat16
    assert asked(model, ask, [("Scene 4.", RAW, "a")])[0].text.startswith(scenes["Scene 4."][:8])


def test_hidden_defaults_of_a_checkpoint_do_not_apply(
    recitations: Any, ask: Callable[..., list[Any]], scenes: dict[str, str], tmp_path: Path
) -> None:
    import shutil

    from boxlist.models.hf import BoxlistHF

    folder = shutil.copytree(recitations.folder, tmp_path / "steered")
    path = folder / "generation_config.json"
    steered = {"do_sample": True, "temperature": 9.0, "repetition_penalty": 9.0, "no_repeat_ngram_size": 2}
    path.write_text(json.dumps({**json.loads(path.read_text()), **steered}))
    model = BoxlistHF(str(folder), batch_size=2, device="cpu")
    answers = asked(model, ask, [(prompt, RAW, "a") for prompt in list(scenes)[:2]])
    assert [answer.text for answer in answers] == list(scenes.values())[:2]
