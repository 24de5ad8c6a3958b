"""Stage two of the pocket base: teach the language part to speak of what the tower sees.

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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.adapters_training.pocket.architecture import GRID, IMAGE_TOKENS, image_features
from boxlist.adapters_training.pocket.lessons import KINDS, MIXES, Lesson, classroom, draw_lessons
from boxlist.adapters_training.pocket.vision import cell_of, draw_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

GAZE_LAYERS = (2, 3)
SUBJECT_HEAD, REFERENCE_HEAD, COUNTING_HEADS = 0, 1, slice(2, 4)


class Packed(NamedTuple):
    """A batch of packed sequences, padded on the right. `segment` is 0 for the shared prefix, -1 for padding."""

    ids: NDArray[np.int64]  # (B, T)
    labels: NDArray[np.int64]  # (B, T), -100 where nothing is asked
    segment: NDArray[np.int64]  # (B, T)
    positions: NDArray[np.int64]  # (3, B, T)
    kinds: NDArray[np.int64]  # (B, T), index into the lesson kinds, -1 elsewhere
    cells: NDArray[np.int64]  # (2, B, T), the cells for the subject's and the reference's head, -1 where any will do
    shares: list[tuple[int, int, NDArray[np.int64]]]  # row, place, and the places that counting heads share it among
    images: NDArray[np.uint8]


class Packer:
    """Turns lessons into packed sequences of one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, kinds: tuple[str, ...]) -> None:
        self.tokenizer = tokenizer
        self.kinds = kinds
        self.end_of_turn = tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.asking = len(self._encode("<|im_end|>\n<|im_start|>assistant\n"))
        self.digits = frozenset(tokenizer.convert_tokens_to_ids(list("0123456789")))
        self.before = self._encode("<|im_start|>user\n<|vision_start|>")
        image = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self.prefix = [*self.before, *[image] * IMAGE_TOKENS, *self._encode("<|vision_end|>")]
        start = len(self.before)
        cells = np.arange(IMAGE_TOKENS)
        text = np.arange(start)
        self.prefix_positions = np.concatenate(
            [
                np.tile(text, (3, 1)),
                np.stack([np.full(IMAGE_TOKENS, start), start + cells // GRID, start + cells % GRID]),
                np.full((3, 1), start + GRID),
            ],
            axis=1,
        )
        self.image_slice = slice(start, start + IMAGE_TOKENS)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _segment(self, lesson: Lesson) -> tuple[list[int], list[int]]:
        question = self._encode(f"{lesson.prompt}<|im_end|>\n<|im_start|>assistant\n")
        answer = self._encode(f"{lesson.answer}<|im_end|>")
        return question + answer, [-100] * len(question) + answer

    def pack(self, lessons: list[list[Lesson]], images: NDArray[np.uint8], limit: int) -> Packed:
        """Pack each picture's lessons, leaving out those that would pass `limit` tokens."""
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
        shape = (len(rows), longest)
        packed = Packed(
            np.zeros(shape, np.int64),
            np.full(shape, -100, np.int64),
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
            packed.segment[index, span] = number
            packed.positions[:, index, span] = first + np.arange(len(ids))
            packed.kinds[index, span] = self.kinds.index(lesson.kind)
            self._mark_gaze(packed, index, at, ids, lesson)
            at += len(ids)

    def _mark_gaze(self, packed: Packed, index: int, at: int, ids: list[int], lesson: Lesson) -> None:
        asked = ids.index(self.end_of_turn)
        looks_from = at + asked - 2  # the object's name ends before the closing mark
        if lesson.counted is not None:
            number = next(place for place in range(asked, len(ids)) if ids[place] in self.digits)
            cells = np.array(sorted({cell_of(item) for item in lesson.counted}), np.int64)
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
                packed.cells[:, index, at + np.array(places)] = cell_of(item)
        if lesson.about is not None:
            packed.cells[0, index, looks_from : at + len(ids)] = cell_of(lesson.about)
            packed.cells[1, index, looks_from : at + len(ids)] = cell_of(lesson.other or lesson.about)


def block_mask(segment: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`(B, T, T)`: may a token (row) see another (column)? The prefix, its own segment, nothing later."""
    mine, other = segment[:, :, None], segment[:, None, :]
    causal = np.tril(np.ones((segment.shape[1], segment.shape[1]), np.bool_))
    seen: NDArray[np.bool_] = ((mine == other) | (other == 0)) & causal
    return seen


class Scored(NamedTuple):
    """Loss and, for every asked token, whether it was right and of which kind of lesson."""

    loss: Tensor
    gaze: Tensor  # mean -log of the attention that the chosen heads pay to the right cell
    right: Tensor
    kinds: Tensor
    losses: Tensor
    guesses: Tensor
    wanted: Tensor


def run_batch(model: Qwen3VLForConditionalGeneration, packer: Packer, packed: Packed) -> Scored:
    """One forward pass, in the caller's autocast; logits only where an answer is asked for."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    with torch.no_grad():
        features = image_features(model, packed.images)
    ids, labels = torch.from_numpy(packed.ids), torch.from_numpy(packed.labels)
    embeds = model.model.language_model.embed_tokens(ids)
    span = packer.image_slice
    embeds = torch.cat([embeds[:, : span.start], features.to(embeds.dtype), embeds[:, span.stop :]], dim=1)
    mask = torch.zeros(packed.ids.shape[0], 1, packed.ids.shape[1], packed.ids.shape[1])
    mask.masked_fill_(~torch.from_numpy(block_mask(packed.segment))[:, None], float("-inf"))
    asked = labels[:, 1:] != -100
    attention: list[Tensor] = []
    layers = [model.model.language_model.layers[index].self_attn for index in GAZE_LAYERS]
    hooks = [layer.register_forward_hook(lambda _m, _i, out: attention.append(out[1])) for layer in layers]
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=mask,
        position_ids=torch.from_numpy(packed.positions),
        use_cache=False,
    ).last_hidden_state
    for hook in hooks:
        hook.remove()
    logits = model.lm_head(hidden[:, :-1][asked]).float()
    wanted = labels[:, 1:][asked]
    losses = F.cross_entropy(logits, wanted, reduction="none")
    guesses = logits.argmax(-1)
    kinds = torch.from_numpy(packed.kinds)[:, 1:][asked]
    gaze = _gaze_loss(attention, packed, span.start)
    return Scored(losses.mean(), gaze, guesses == wanted, kinds, losses.detach(), guesses, wanted)


def _gaze_loss(attention: list[Tensor], packed: Packed, first_image: int) -> Tensor:
    """Cross-entropy of where the chosen heads should look; each attention is `(B, heads, T, T)`, row to column."""
    import torch

    losses = []
    for head, wanted in ((SUBJECT_HEAD, packed.cells[0]), (REFERENCE_HEAD, packed.cells[1])):
        rows, places = np.nonzero(wanted >= 0)
        columns = first_image + wanted[rows, places]
        losses += [
            -torch.log(layer[rows, head, places, columns].float() + 1e-4).mean() for layer in attention if len(rows)
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


def train_leg(
    model: Qwen3VLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Mapping[str, str],
    leg: Leg,
    log: Callable[[str], None],
) -> None:
    """Train the language part in place, the tower frozen: float32 weights, bf16 products."""
    import torch

    packer = Packer(tokenizer, KINDS)
    weights = [*model.model.language_model.parameters()]
    cycle = leg.of_steps or leg.steps
    optimizer = torch.optim.AdamW(weights, lr=leg.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, leg.rate, total_steps=cycle, pct_start=min(0.1, 200 / cycle)
    )
    rng = np.random.default_rng([0, leg.seed])
    started = time.monotonic()
    tally = np.zeros((len(KINDS), 3))
    for step in range(1, leg.steps + 1):
        scenes, images = draw_batch(rng, leg.batch, leg.objects)
        lessons = [draw_lessons(classroom(scene, prompts, rng), MIXES[leg.mix], leg.questions) for scene in scenes]
        packed = packer.pack(lessons, images, leg.limit)
        with torch.autocast("cpu", torch.bfloat16):
            scored = run_batch(model, packer, packed)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(scored.loss + leg.gaze * scored.gaze)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        tally += _tally(scored)
        if step % 50 == 0:
            seconds, gaze = time.monotonic() - started, float(scored.gaze.detach())
            log(f"{leg.mix} step {step}/{leg.steps} {_shown(tally)} gaze {gaze:.3f} {seconds:.0f} s")
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
