"""Stage one of a pocket base: teach it to see, with a dense head that is thrown away.

Trained on the language loss alone, so small a model takes hours to see anything. Here every image token
predicts the object whose centre lies in its cell: shape, colour, size, and its box both as numbers and as the
digits in which the language part will have to write it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.tasks.datasets.shapes import COLOURS, SHAPES, SIZES, Scene, ShapeObject, draw_scene, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from boxlist.adapters_training.pocket.families import Family

IMAGE_SIDE_PX = 224
MAX_OBJECTS = 12
COLOUR_NAMES = tuple(COLOURS)
SIZE_NAMES = tuple(SIZES)
_CLASSES = {"shape": len(SHAPES), "colour": len(COLOURS), "size": len(SIZES)}


class CellTargets(NamedTuple):
    """What the dense head must say of each cell; all but `present` matter only where an object is."""

    present: NDArray[np.float32]  # (B, cells)
    classes: NDArray[np.int64]  # (B, cells, 3): shape, colour, size
    box: NDArray[np.float32]  # (B, cells, 4): x1 y1 x2 y2 in 0-1
    digits: NDArray[np.int64]  # (B, cells, 6, digits): of x1 y1 x2 y2 and the centre's x y, as the family writes them

    def of(self, rows: NDArray[np.int64], cells: NDArray[np.int64]) -> CellTargets:
        """The targets of N cells, each by its picture's row and its place there: `(N, ...)`."""
        places = rows, cells
        return CellTargets(self.present[places], self.classes[places], self.box[places], self.digits[places])


def draw_batch(
    rng: np.random.Generator, batch: int, objects: tuple[int, int] = (1, MAX_OBJECTS)
) -> tuple[list[Scene], NDArray[np.uint8]]:
    """Fresh scenes of so many objects, both ends included, and their pictures, `(B, 224, 224, 3)`."""
    scenes = [draw_scene(rng, int(rng.integers(objects[0], objects[1] + 1))) for _ in range(batch)]
    return scenes, np.stack([render(scene) for scene in scenes])


def cell_of(item: ShapeObject, grid: int) -> int:
    """The image token in whose cell an object's centre lies, of `grid` on a side."""
    x1, y1, x2, y2 = item.box_xyxy_px
    return int((y1 + y2) / 2 * grid / IMAGE_SIDE_PX) * grid + int((x1 + x2) / 2 * grid / IMAGE_SIDE_PX)


def cell_targets(scenes: list[Scene], family: Family) -> CellTargets:
    """The targets of a batch. Where two centres share a cell the later object is the one asked for."""
    cells = (len(scenes), family.grid**2)
    present = np.zeros(cells, np.float32)
    classes = np.zeros((*cells, 3), np.int64)
    box = np.zeros((*cells, 4), np.float32)
    digits = np.zeros((*cells, 6, len(family.digits)), np.int64)
    for row, scene in enumerate(scenes):
        for item in scene.objects:
            x1, y1, x2, y2 = (value / IMAGE_SIDE_PX for value in item.box_xyxy_px)
            cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
            cell = cell_of(item, family.grid)
            present[row, cell] = 1
            classes[row, cell] = (
                SHAPES.index(item.shape),
                COLOUR_NAMES.index(item.colour),
                SIZE_NAMES.index(item.size),
            )
            box[row, cell] = x1, y1, x2, y2
            for place, value in enumerate((x1, y1, x2, y2, cx, cy)):
                number = min(round(value * family.full_scale), 999)
                digits[row, cell, place] = [number // unit % 10 for unit in family.digits]
    return CellTargets(present, classes, box, digits)


def dense_head(family: Family) -> nn.Module:
    """One linear layer from an image token to everything in `CellTargets`."""
    from torch import nn

    return nn.Linear(family.width, 1 + sum(_CLASSES.values()) + 4 + 6 * len(family.digits) * 10)


def dense_loss(outputs: Tensor, targets: CellTargets) -> tuple[Tensor, dict[str, float]]:
    """The loss, and how good each part is: shares right, and the box error in thousandths (median)."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    present = torch.from_numpy(targets.present)
    outputs = outputs.float()
    loss = 4 * F.binary_cross_entropy_with_logits(outputs[..., 0], present)
    seen = outputs[present.bool()]
    figures = {"present": float(((outputs[..., 0] > 0) == present.bool()).float().mean())}
    start = 1
    for place, (name, width) in enumerate(_CLASSES.items()):
        wanted = torch.from_numpy(targets.classes[..., place])[present.bool()]
        logits = seen[:, start : start + width]
        loss = loss + F.cross_entropy(logits, wanted)
        figures[name] = float((logits.argmax(-1) == wanted).float().mean())
        start += width
    box = torch.from_numpy(targets.box)[present.bool()]
    loss = loss + 20 * F.smooth_l1_loss(seen[:, start : start + 4], box, beta=0.02)
    figures["box_off"] = float((seen[:, start : start + 4] - box).abs().median().detach()) * 1000
    digits = torch.from_numpy(targets.digits)[present.bool()]
    logits = seen[:, start + 4 :].reshape(-1, 6, digits.shape[2], 10)
    loss = loss + 3 * F.cross_entropy(logits.flatten(0, 2), digits.flatten())
    for digit, name in enumerate(("hundreds", "tens", "ones")[: digits.shape[2]]):
        figures[name] = float((logits[:, :, digit].argmax(-1) == digits[:, :, digit]).float().mean())
    return loss, figures


def train_vision(
    family: Family,
    model: Any,
    head: nn.Module,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    log: Callable[[str], None],
) -> None:
    """Train what sees, and the throw-away head, in place; one-cycle rate, bf16 products, float32 weights."""
    import torch

    weights = [*family.sight_weights(model), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.05)
    rng = np.random.default_rng([seed, 1])
    started = time.monotonic()
    for step in range(1, steps + 1):
        scenes, images = draw_batch(rng, batch)
        with torch.autocast("cpu", torch.bfloat16):
            loss, figures = dense_loss(head(family.sight(model, images)), cell_targets(scenes, family))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            shown = " ".join(f"{name} {value:.3f}" for name, value in figures.items())
            log(
                f"vision step {step}/{steps} loss {float(loss.detach()):.3f} {shown} {time.monotonic() - started:.0f} s"
            )
