"""Stage two of a pocket base: teach the language part to speak of what is seen.

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
from boxlist.adapters_training.pocket.lessons import classroom
from boxlist.adapters_training.pocket.mixes import KINDS, MIXES, draw_lessons
from boxlist.adapters_training.pocket.packing import Packed, Packer, block_mask
from boxlist.adapters_training.pocket.reading import Page
from boxlist.adapters_training.pocket.vision import CellTargets, cell_targets, dense_loss, draw_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerFast

    from boxlist.adapters_training.pocket.families import Family

COUNTING_HEADS = slice(2, 4)


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
