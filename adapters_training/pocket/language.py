"""Stage two of a pocket base: teach the language part to speak of what is seen.

Several questions about one picture share its image tokens in one sequence. A block mask lets every question see the
picture and itself only, and each restarts its positions after the picture, so the model computes exactly what it
would for the questions one by one, at a fraction of the work.

The hard part to learn is to match words with places. So where an answer is about one object, a few attention heads
are told to look at its cell from the moment it is named, and where objects are to be counted, others are told to share
their attention equally among them and the first token, which turns a number into a share (`gaze`); behind every name
of a list, these share it among the names so far. These signals are
as disposable as the vision stage's head.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.adapters_training.pocket.beside import drawn_beside
from boxlist.adapters_training.pocket.lessons import KINDS, MIXES, Lesson, classroom, draw_lessons
from boxlist.adapters_training.pocket.reading import Page
from boxlist.adapters_training.pocket.vision import CellTargets, cell_of, cell_targets, dense_loss, draw_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerFast

    from boxlist.adapters_training.pocket.families import Family

COUNTING_HEADS = slice(2, 4)


class Packed(NamedTuple):
    """A batch of packed sequences, padded on the right. `segment` is 0 for the shared prefix, -1 for padding."""

    ids: NDArray[np.int64]  # (B, T)
    labels: NDArray[np.int64]  # (B, T), -100 where nothing is asked
    weights: NDArray[np.float32]  # (B, T), what each token's loss counts
    segment: NDArray[np.int64]  # (B, T)
    positions: NDArray[np.int64]  # (3, B, T)
    kinds: NDArray[np.int64]  # (B, T), index into the lesson kinds, -1 elsewhere
    cells: NDArray[np.int64]  # (2, B, T), the cells for the subject's and the reference's head, -1 where any will do
    shares: list[tuple[int, int, NDArray[np.int64]]]  # row, place, and the places that counting heads share it among
    images: NDArray[np.uint8]


class Packer:
    """Turns lessons into packed sequences of one tokenizer.

    With `rooted`, an answer of n tokens counts as the root of n, or short answers drown in long lists.
    """

    def __init__(
        self, family: Family, tokenizer: PreTrainedTokenizerFast, kinds: tuple[str, ...], rooted: bool = False
    ) -> None:
        self.family = family
        self.rooted = rooted
        self.tokenizer = tokenizer
        self.kinds = kinds
        markup = family.markup
        self.end_of_turn = tokenizer.convert_tokens_to_ids(markup.end)
        self.asking = len(self._encode(markup.ask))
        self.digits = frozenset(tokenizer.convert_tokens_to_ids(list("0123456789")))
        before = self._encode(markup.before_image)
        image = tokenizer.convert_tokens_to_ids(markup.image)
        self.prefix = [*before, *[image] * family.image_tokens, *self._encode(markup.after_image)]
        start = len(before)
        text = np.tile(np.arange(start), (3, 1))
        self.prefix_positions = np.concatenate([text, family.image_places(start)], axis=1)
        self.image_slice = slice(start, start + family.image_tokens)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _segment(self, lesson: Lesson) -> tuple[list[int], list[int]]:
        question = self._encode(f"{lesson.prompt}{self.family.markup.ask}")
        answer = self._encode(f"{lesson.answer}{self.family.markup.end}")
        return question + answer, [-100] * len(question) + answer

    def pack(self, lessons: list[list[Lesson]], images: NDArray[np.uint8], limit: int) -> Packed:
        """Pack each picture's lessons, leaving out those that would pass `limit` tokens.

        Rows are as long as the longest, or as `limit` in a family of fixed length.
        """
        rows: list[list[tuple[list[int], list[int], Lesson]]] = []
        for asked in lessons:
            room = limit - len(self.prefix)
            row = []
            for lesson in asked:
                ids, labels = self._segment(lesson)
                if len(ids) <= room:
                    room -= len(ids)
                    row.append((ids, labels, lesson))
            rows.append(row)
        longest = len(self.prefix) + max(sum(len(ids) for ids, _, _ in row) for row in rows)
        shape = (len(rows), limit if self.family.fixed_length else longest)
        packed = Packed(
            np.zeros(shape, np.int64),
            np.full(shape, -100, np.int64),
            np.ones(shape, np.float32),
            np.full(shape, -1, np.int64),
            np.zeros((3, *shape), np.int64),
            np.full(shape, -1, np.int64),
            np.full((2, *shape), -1, np.int64),
            [],
            images,
        )
        for index, row in enumerate(rows):
            self._fill(packed, index, row)
        return packed

    def _fill(self, packed: Packed, index: int, row: list[tuple[list[int], list[int], Lesson]]) -> None:
        at = len(self.prefix)
        packed.ids[index, :at] = self.prefix
        packed.segment[index, :at] = 0
        packed.positions[:, index, :at] = self.prefix_positions
        first = int(self.prefix_positions[0, -1]) + 1
        for number, (ids, labels, lesson) in enumerate(row, start=1):
            span = slice(at, at + len(ids))
            packed.ids[index, span] = ids
            packed.labels[index, span] = labels
            if self.rooted:
                packed.weights[index, span] = (len(labels) - labels.count(-100)) ** -0.5
            packed.segment[index, span] = number
            packed.positions[:, index, span] = first + np.arange(len(ids))
            packed.kinds[index, span] = self.kinds.index(lesson.kind)
            self._mark_gaze(packed, index, at, ids, lesson)
            at += len(ids)

    def _mark_gaze(self, packed: Packed, index: int, at: int, ids: list[int], lesson: Lesson) -> None:
        grid = self.family.grid
        asked = ids.index(self.end_of_turn)
        looks_from = at + asked - 2  # the object's name ends before the closing mark
        if lesson.counted is not None:
            number = next(place for place in range(asked, len(ids)) if ids[place] in self.digits)
            cells = np.array(sorted({cell_of(item, grid) for item in lesson.counted}), np.int64)
            columns = self.image_slice.start + cells
            packed.shares.extend((index, at + place, columns) for place in range(asked, number))
            looks_from = at + number
        if lesson.named or lesson.ends:
            first = asked + self.asking  # of the answer
            spans = self.tokenizer(lesson.answer, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
            last = {end: at + first + place for place, (_, end) in enumerate(spans)}
            ends = np.array([last[end] for end in lesson.ends], np.int64)
            packed.shares.extend((index, int(place), ends[:number]) for number, place in enumerate(ends, start=1))
            for item, start, end in lesson.named:
                places = [first + place - 1 for place, (a, b) in enumerate(spans) if b > start and a < end]
                packed.cells[:, index, at + np.array(places)] = cell_of(item, grid)
        if lesson.about is not None:
            packed.cells[0, index, looks_from : at + len(ids)] = cell_of(lesson.about, grid)
            packed.cells[1, index, looks_from : at + len(ids)] = cell_of(lesson.other or lesson.about, grid)


def block_mask(segment: NDArray[np.int64], both_ways: slice | None = None) -> NDArray[np.bool_]:
    """`(B, T, T)`: may a token (row) see another (column)? The prefix, its own segment, nothing later.

    Tokens in the span `both_ways` see each other wherever they stand.
    """
    mine, other = segment[:, :, None], segment[:, None, :]
    causal = np.tril(np.ones((segment.shape[1], segment.shape[1]), np.bool_))
    seen: NDArray[np.bool_] = ((mine == other) | (other == 0)) & causal
    if both_ways is not None:
        seen[:, both_ways, both_ways] = True
    return seen


class Scored(NamedTuple):
    """Loss and, for every asked token, whether it was right and of which kind of lesson."""

    loss: Tensor
    gaze: Tensor  # mean -log of the attention that the chosen heads pay to the right cell
    sight: Tensor | None  # as in `Read`
    told: Tensor | None
    right: Tensor
    kinds: Tensor
    losses: Tensor


def run_batch(model: Any, packer: Packer, packed: Packed) -> Scored:
    """One forward pass, in the caller's autocast; logits only where an answer is asked for."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    family = packer.family
    span = packer.image_slice
    seen = block_mask(packed.segment, span if family.sees_both_ways else None)
    page = Page(packed.ids, packed.images, span, seen, packed.positions, family.gaze_layers)
    read = family.read(model, page)
    labels = torch.from_numpy(packed.labels)
    asked = labels[:, 1:] != -100
    logits = model.lm_head(read.hidden[:, :-1][asked]).float()
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    if cap is not None:
        logits = torch.tanh(logits / cap) * cap
    wanted = labels[:, 1:][asked]
    losses = F.cross_entropy(logits, wanted, reduction="none")
    guesses = logits.argmax(-1)
    kinds = torch.from_numpy(packed.kinds)[:, 1:][asked]
    gaze = _gaze_loss(family, read.attention, packed, span.start)
    weights = torch.from_numpy(packed.weights)[:, 1:][asked]
    return Scored(
        (losses * weights).sum() / weights.sum(), gaze, read.sight, read.told, guesses == wanted, kinds, losses.detach()
    )


def _gaze_loss(family: Family, attention: list[Tensor], packed: Packed, first_image: int) -> Tensor:
    """Cross-entropy of where the chosen heads should look; each attention is `(B, heads, T, T)`, row to column."""
    import torch

    losses = []
    for heads, wanted in zip((family.subject_heads, family.reference_heads), packed.cells, strict=True):
        rows, places = np.nonzero(wanted >= 0)
        columns = first_image + wanted[rows, places]
        losses += [
            -torch.log(layer[rows, :, places, columns][:, list(heads)].float() + 1e-4).mean()
            for layer in attention
            if len(rows)
        ]
    if packed.shares:
        rows, places = (np.array([share[axis] for share in packed.shares]) for axis in (0, 1))
        wanted = np.zeros((len(rows), packed.ids.shape[1]), np.float32)
        for number, (_, _, columns) in enumerate(packed.shares):
            wanted[number, [0, *columns]] = 1 / (len(columns) + 1)
        for layer in attention:
            paid = layer[rows, COUNTING_HEADS, places].float()  # (N, heads, T)
            losses.append(-(torch.from_numpy(wanted)[:, None] * torch.log(paid + 1e-4)).sum(-1).mean())
    return torch.stack(losses).mean() if losses else torch.zeros(())


@dataclass(frozen=True)
class Leg:
    """One stretch of the language stage, with an optimizer and a one-cycle rate of its own.

    `of_steps` is the length of the whole cycle, when the leg stops before its end.
    """

    mix: str
    steps: int
    rate: float
    seed: int
    of_steps: int | None = None
    batch: int = 24
    questions: int = 8
    limit: int = 320
    objects: tuple[int, int] = (1, 12)
    gaze: float = 0.0
    sight: float = 0.1
    told: float = 0.1
    rooted: bool = False


def train_leg(
    model: Any,
    heads: nn.ModuleList,
    family: Family,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Mapping[str, str],
    leg: Leg,
    log: Callable[[str], None],
) -> None:
    """Train the language part in place: float32 weights, bf16 products.

    A tower stays frozen; where the decoder itself sees, the dense head keeps on asking it what it sees.
    """
    import torch

    packer = Packer(family, tokenizer, KINDS, leg.rooted)
    weights = [*family.language_weights(model), *heads.parameters()]
    cycle = leg.of_steps or leg.steps
    optimizer = torch.optim.AdamW(weights, lr=leg.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, leg.rate, total_steps=cycle, pct_start=min(0.1, 200 / cycle)
    )
    rng = np.random.default_rng([0, leg.seed])

    def draw() -> tuple[Packed, CellTargets]:
        scenes, images = draw_batch(rng, leg.batch, leg.objects)
        rooms = [classroom(scene, prompts, rng, family) for scene in scenes]
        lessons = [draw_lessons(room, MIXES[leg.mix], leg.questions) for room in rooms]
        return packer.pack(lessons, images, leg.limit), cell_targets(scenes, family)

    started = time.monotonic()
    tally = np.zeros((len(KINDS), 3))
    for step, (packed, targets) in zip(range(1, leg.steps + 1), drawn_beside(draw), strict=False):
        with torch.autocast("cpu", torch.bfloat16):
            scored = run_batch(model, packer, packed)
            loss = scored.loss + leg.gaze * scored.gaze
            if scored.sight is not None and scored.told is not None:
                sight, figures = dense_loss(heads[0](scored.sight), targets)
                rows, places = np.nonzero(packed.cells[0] >= 0)
                told = targets.of(rows, packed.cells[0][rows, places])
                transport, passed_on = dense_loss(heads[1](scored.told[rows, places]), told)
                figures |= {f"told_{name}": value for name, value in passed_on.items()}
                loss = loss + leg.sight * sight + leg.told * transport
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        tally += _tally(scored)
        if step % 50 == 0:
            seconds, gaze = time.monotonic() - started, float(scored.gaze.detach())
            seen = (
                "".join(f" {name} {value:.3f}" for name, value in figures.items()) if scored.sight is not None else ""
            )
            log(f"{leg.mix} step {step}/{leg.steps} {_shown(tally)} gaze {gaze:.3f}{seen} {seconds:.0f} s")
            tally[:] = 0


def _shown(tally: NDArray[np.float64]) -> str:
    """Loss and share of right tokens for each kind of lesson."""
    return " ".join(
        f"{kind} {loss / count:.3f}/{right / count:.3f}"
        for kind, (count, loss, right) in zip(KINDS, tally, strict=True)
        if count
    )


def _tally(scored: Scored) -> NDArray[np.float64]:
    """Tokens asked, their summed loss and those right, by kind of lesson: `(kinds, 3)`."""
    kinds = scored.kinds.numpy()
    columns = (None, scored.losses.numpy().astype(np.float64), scored.right.numpy().astype(np.float64))
    return np.stack([np.bincount(kinds, weights=weights, minlength=len(KINDS)) for weights in columns], axis=1)
