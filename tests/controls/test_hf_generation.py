"""Per-row stopping inside a real `generate` loop, each row's tokens forced to a script: the mechanism, no figures."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteriaList

from boxlist.controls.answer_watch import AnswerWatch
from boxlist.controls.hf_generation import RowAnswer, RowStopping, finished_rows
from boxlist.controls.list_watch import replay
from boxlist.controls.table import Controls
from boxlist.controls.text_decoder import Vocabulary
from boxlist.errors import BoxlistError, InputError
from boxlist.protocols import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NORM1000 = PROTOCOLS["norm1000_xyxy"]
LENGTH = 96


class Engine(NamedTuple):
    """A real Qwen3-VL of a few thousand random weights, and the pocket's vocabulary."""

    model: Any
    vocabulary: Vocabulary
    eos: int
    pad: int


class Script(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Forces each row to its own tokens, then to the end of turn; finished rows are forced to go on as well."""

    def __init__(self, rows: Sequence[list[int]], prompt_length: int, then: int) -> None:
        self.rows, self.prompt_length, self.then = rows, prompt_length, then
        self.steps = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        step = input_ids.shape[1] - self.prompt_length
        forced = torch.full_like(scores, -1e9)
        for row, tokens in enumerate(self.rows):
            forced[row, tokens[step] if step < len(tokens) else self.then] = 0
        return forced


@pytest.fixture(scope="module")
def engine(pocket_base: Path) -> Engine:
    from transformers import AutoConfig, AutoTokenizer, Qwen3VLForConditionalGeneration

    config = AutoConfig.from_pretrained(pocket_base)
    text = config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 32, 32, 1
    text.num_attention_heads = text.num_key_value_heads = 1
    config.vision_config.depth = 1
    config.vision_config.out_hidden_size = 32
    model = Qwen3VLForConditionalGeneration(config).float().eval()
    tokenizer = AutoTokenizer.from_pretrained(pocket_base)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 2, 0
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (2, 0)
    return Engine(model, Vocabulary.of(tokenizer), 2, 0)


def scripts(count: int) -> list[str]:
    """Lists out of a few records, many with a repeat, some in fences, some with odd white space and characters."""
    rng = random.Random(count)
    texts = []
    for _ in range(count):
        items = []
        for _ in range(rng.randrange(1, 5)):
            label, space = rng.choice(["a", "é 🌲", "A"]), rng.choice(["", " ", "\n "])
            items.append(f'{{"bbox_2d":{space}[1,{rng.randrange(2)},3,4],{space}"label":"{label}"}}')
        fenced = rng.random() < 0.3
        texts.append(
            ("```json\n[" if fenced else "[") + rng.choice([",", ", "]).join(items) + ("]\n```" if fenced else "]")
        )
    return texts


def run(
    engine: Engine,
    texts: Sequence[str],
    watches: Sequence[AnswerWatch | None],
    *,
    ends: bool = True,
    max_new_tokens: int = LENGTH,
    **kwargs: Any,
) -> tuple[list[RowAnswer], torch.Tensor, int]:
    """Generate with left-padded prompts of different lengths; also what `generate` returned, and its steps."""
    tokenizer = engine.vocabulary.tokenizer
    rows = [tokenizer(text)["input_ids"] for text in texts]
    prompts = torch.full((len(texts), 9), engine.pad)
    mask = torch.zeros_like(prompts)
    for row in range(len(texts)):
        prompts[row, row % 5 :], mask[row, row % 5 :] = 40 + row, 1
    script = Script(rows, prompts.shape[1], then=engine.eos if ends else 50)
    stopping = RowStopping(
        watches, engine.vocabulary, prompt_length=prompts.shape[1], eos_token_ids=[engine.eos] if ends else []
    )
    with torch.inference_mode():
        output = engine.model.generate(
            input_ids=prompts,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            logits_processor=LogitsProcessorList([script]),
            stopping_criteria=StoppingCriteriaList([stopping]),
            **({} if ends else {"eos_token_id": None}),
            **kwargs,
        )
    return stopping.answers(), output[:, prompts.shape[1] :], script.steps


def watch(*, repeat_stop: bool = True) -> AnswerWatch:
    return AnswerWatch(NORM1000, (), Controls(repeat_stop=repeat_stop))


@pytest.mark.parametrize("batch", [1, 2, 7, 32])
def test_live_equals_replay(engine: Engine, batch: int) -> None:
    texts = scripts(batch)
    answers, _, _ = run(engine, texts, [watch() for _ in texts], max_new_tokens=160)
    expected = [replay(text, NORM1000) for text in texts]
    assert [(answer.text, answer.finish == "repeat_stop") for answer in answers] == [
        (stopped.text, stopped.triggered) for stopped in expected
    ]
    if batch >= 7:
        assert {answer.finish for answer in answers} == {"eos", "repeat_stop"}, "both ends occur in this batch"


def test_rows_with_and_without_the_control_share_a_batch(engine: Engine) -> None:
    texts = scripts(12)
    mixed, _, _ = run(engine, texts, [watch() if row % 2 else None for row in range(12)], max_new_tokens=160)
    for row, (text, answer) in enumerate(zip(texts, mixed, strict=True)):
        stopped = replay(text, NORM1000)
        assert answer.text == (stopped.text if row % 2 else text)
        assert (answer.finish == "repeat_stop") == bool(row % 2 and stopped.triggered)


def test_without_an_end_of_turn_a_finished_row_goes_on_but_its_answer_does_not(engine: Engine) -> None:
    """The padding trap: `generate` pads finished rows only where it knows an end-of-turn id."""
    repeats, goes_on = '[{"bbox": [1, 2, 3, 4], "label": "a"},{"bbox": [1, 2, 3, 4], "label": "a"}]', "[" + "1, " * 40
    answers, output, _ = run(engine, [repeats, goes_on], [watch(), watch()], ends=False)
    assert answers[0].finish == "repeat_stop"
    assert answers[0].text == replay(repeats, NORM1000).text
    assert answers[0].tokens < LENGTH
    assert engine.pad not in output[0].tolist(), "generate itself did not pad: the trap is there"
    assert (answers[1].finish, answers[1].tokens) == ("length", LENGTH)
    assert answers[1].text.startswith(goes_on[:60])


def test_the_batch_ends_when_every_row_is_over(engine: Engine) -> None:
    once = '{"bbox": [1, 2, 3, 4], "label": "a"}'
    texts = [f"[{once}, {once}, {once}, {once}]"] * 2
    answers, _, steps = run(engine, texts, [watch(), watch()])
    assert steps == answers[0].tokens == answers[1].tokens
    assert steps < len(engine.vocabulary.tokenizer(texts[0])["input_ids"])


def test_tokens_and_finish_reasons(engine: Engine) -> None:
    short, long = "[]", "[" + "1, " * 100
    (ended, cut), _, _ = run(engine, [short, long], [None, None], max_new_tokens=20)
    n_short = len(engine.vocabulary.tokenizer(short)["input_ids"])
    assert ended == RowAnswer("[]", n_short + 1, "eos")  # the end of turn counts, and leaves no text
    assert (cut.tokens, cut.finish) == (20, "length")


def test_until_stops_a_row_and_says_eos(engine: Engine) -> None:
    stop_at_newline = AnswerWatch(NORM1000, ["\n"])
    (answer,), _, steps = run(engine, ["one\ntwo three four"], [stop_at_newline])
    assert (answer.text, answer.finish) == ("one", "eos")
    assert steps == answer.tokens == len(engine.vocabulary.tokenizer("one\n")["input_ids"])


def test_an_answer_cut_inside_a_character(engine: Engine) -> None:
    ids = engine.vocabulary.tokenizer("ab🌲")["input_ids"]
    (answer,), _, _ = run(engine, ["ab🌲"], [watch()], max_new_tokens=len(ids) - 1)
    assert answer.text == engine.vocabulary.text(ids[:-1])
    assert answer.text.endswith("\ufffd")


def test_finished_rows_reads_the_output_as_the_watch_does(engine: Engine) -> None:
    texts = scripts(5)
    answers, output, _ = run(engine, texts, [watch(repeat_stop=False) for _ in texts], max_new_tokens=160)
    assert finished_rows(output, engine.vocabulary, [engine.eos]) == answers
    assert [answer.text for answer in answers] == texts


def test_beams_are_refused(engine: Engine) -> None:
    with pytest.raises(InputError) as caught:
        run(engine, ["[]"], [watch()], num_beams=2)
    assert "until and controls on the list: expected 1 rows, one an answer, got 4. They watch one text a row" in str(
        caught.value
    )


def test_one_object_serves_one_call(engine: Engine) -> None:
    stopping = RowStopping([watch()], engine.vocabulary, prompt_length=3, eos_token_ids=[2])
    stopping(torch.tensor([[1, 1, 1, 60]]), None)
    with pytest.raises(BoxlistError, match="serves one generate call with its own prompt length"):
        stopping(torch.tensor([[1, 1, 1, 60]]), None)


def test_several_new_tokens_at_once_are_all_read(engine: Engine) -> None:
    """MPS and assisted decoding call the criterion less often than once a token."""
    once = '{"bbox": [1, 2, 3, 4], "label": "a"}'
    ids = engine.vocabulary.tokenizer(f"[{once}, {once}, {once}]")["input_ids"]
    stopping = RowStopping([watch()], engine.vocabulary, prompt_length=1, eos_token_ids=[2])
    assert stopping(torch.tensor([[7, *ids]]), None).tolist() == [True]
    (answer,) = stopping.answers()
    assert answer.text == f"[{once}]"
    assert answer.tokens < len(ids), "tokens behind the trigger do not count"


def test_a_tokenizer_that_takes_text_back_is_refused_not_trusted(engine: Engine) -> None:
    class TakesBack:
        """Reads differently token by token than at once: every fourth token starts the text anew."""

        added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012

        def decode(self, ids: list[int], **_: object) -> str:
            return "x" * (len(ids) % 4)

    vocabulary = Vocabulary(TakesBack(), frozenset(), frozenset())
    stopping = RowStopping([watch()], vocabulary, prompt_length=1, eos_token_ids=[2])
    stopping(torch.tensor([[7, 60, 60, 60, 60, 60]]), None)
    with pytest.raises(BoxlistError, match="reads differently token by token than at once"):
        stopping.answers()
