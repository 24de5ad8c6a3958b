"""Lists taught against repetition: what is only read, what is made unlikely, what counts more."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoProcessor

from boxlist.adapters_training.encoding import IGNORE, Encoder, EndOfTurn
from boxlist.adapters_training.lists import Sample, Teaching, samples
from boxlist.adapters_training.repeats import Against
from boxlist.protocols import PROTOCOLS, protocol_named
from boxlist.scanner import RecordScanner, read_answer
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.protocols import Protocol
    from boxlist.records import Record
    from boxlist.tasks.datasets.split_folder import Document

NORM1000 = PROTOCOLS["norm1000_xyxy"]
FORMS = [NORM1000, PROTOCOLS["pixel_xyxy"], *map(protocol_named, ("norm1000_xyxy+plain", "norm1000_xyxy+label_first"))]


def taught(document: Document, teaching: Teaching, epoch: int = 0) -> Sample:
    (sample,) = samples(probe_named("boxlist_dense_bbox_shapes"), [document], teaching, epoch)
    return sample


def counted(sample: Sample) -> list[float]:
    """What each character of the answer counts."""
    weights = [1.0] * len(sample.answer)
    for mark in sample.marks:
        weights[mark.start : mark.end] = [mark.weight] * (mark.end - mark.start)
    return weights


def learnt(sample: Sample, teaching: Teaching) -> list[Record]:
    """The records whose every character is learnt."""
    scanner, weights, start = RecordScanner(teaching.protocol), counted(sample), 0
    found = []
    for one in (*scanner.feed(sample.answer), *scanner.rest()):
        if set(weights[start : one.end]) == {1.0}:
            found.append(one.record)
        start = one.end
    return found


def test_what_is_learnt_is_the_list_itself(shapes: list[Document]) -> None:
    @settings(max_examples=60)
    @given(
        place=st.integers(0, 159),
        seed=st.integers(0, 1000),
        noise=st.integers(0, 5),
        unlikely=st.sampled_from([0.0, 2.0]),
        protocol=st.sampled_from(FORMS),
        order=st.sampled_from(["reading", "size", "random_each_epoch"]),
    )
    def holds(place: int, seed: int, noise: int, unlikely: float, protocol: Protocol, order: str) -> None:
        plain = Teaching(protocol, order, seed)
        sample = taught(shapes[place], plain._replace(against=Against(noise, unlikely)))
        truth = read_answer(taught(shapes[place], plain).answer, protocol)
        assert learnt(sample, plain) == list(truth.records)
        written = read_answer(sample.answer, protocol)
        assert written.status == "valid"
        assert len(written.records) == len(truth.records) + noise + (unlikely > 0)
        assert all(before.end <= after.start for before, after in itertools.pairwise(sample.marks))
        assert {mark.weight for mark in sample.marks} <= {0.0, -unlikely}
        assert len([mark for mark in sample.marks if mark.weight < 0]) <= 1
        assert sample.end_weight == 1.0

    holds()


def test_the_telling_character_is_the_first_that_no_record_to_come_has(shapes: list[Document]) -> None:
    told = 0
    for document in shapes[:40]:
        teaching = Teaching(NORM1000, seed=7, against=Against(unlikely_repeats=3.0))
        sample = taught(document, teaching)
        unlikely = [mark for mark in sample.marks if mark.weight < 0]
        assert [mark.weight for mark in unlikely] in ([], [-3.0])
        if not unlikely:  # two objects of one label and one box
            continue
        told += 1
        before = sample.answer[: unlikely[0].start]
        here = sample.answer[: unlikely[0].end]
        scanner = RecordScanner(NORM1000)
        said = len(scanner.feed(before))
        plain = taught(document, Teaching(NORM1000)).answer
        ends = [0, *[one.end for one in RecordScanner(NORM1000).feed(plain)]]
        start = [0, *[one.end for one in RecordScanner(NORM1000).feed(sample.answer)]][said]
        to_come = [plain[a:b] for a, b in itertools.pairwise(ends)][said:] or [plain[ends[-1] :]]
        assert any(rest.startswith(before[start:]) for rest in to_come)
        assert not any(rest.startswith(here[start:]) for rest in to_come)
    assert told > 30


def test_the_end_counts_more(shapes: list[Document]) -> None:
    sample = taught(shapes[0], Teaching(NORM1000, against=Against(end_weight=4.0)))
    assert [sample.answer[mark.start : mark.end] for mark in sample.marks] == ["]"]
    assert (sample.marks[0].weight, sample.end_weight) == (4.0, 4.0)
    nothing: Document = {**shapes[0], "objects": []}
    empty = taught(nothing, Teaching(NORM1000, against=Against(2, 2.0, 4.0)))
    assert (empty.answer, empty.marks) == ("[]", ((0, 2, 4.0),))


def test_each_epoch_draws_anew_and_again_the_same(shapes: list[Document]) -> None:
    teaching = Teaching(NORM1000, seed=3, against=Against(noise_records=2))
    drawn = [taught(shapes[1], teaching, epoch) for epoch in (0, 1, 2, 0)]
    assert len({sample.answer for sample in drawn}) == 3
    assert drawn[0] == drawn[3]
    assert len({sample.prompt for sample in drawn}) == 1


@pytest.mark.parametrize("end_weight", [1.0, 5.0])
def test_tokens_count_what_their_characters_do(shapes: list[Document], pocket_base: Path, end_weight: float) -> None:
    processor = AutoProcessor.from_pretrained(pocket_base)
    sample = taught(shapes[2], Teaching(NORM1000, seed=1, against=Against(2, 3.0, end_weight)))
    tokens = Encoder(processor, EndOfTurn("<|im_end|>", 2), 1024)(sample).per_token
    n = int((tokens["input_ids"] == 2).nonzero()[-1])
    spans = processor.tokenizer(sample.answer, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    weights = tokens["loss_weights"][n - len(spans) : n].tolist()
    marks = counted(sample)
    for (start, end), weight in zip(spans, weights, strict=True):
        inside = marks[start:end]
        assert weight == (min(inside) if min(inside) < 0 else inside[-1])
    assert weights.count(-3.0) == 1
    assert float(tokens["loss_weights"][n]) == end_weight
    assert bool(((tokens["labels"] == IGNORE) == (tokens["loss_weights"] == 0)).all())
