"""The stages' steps, batches, rates and seeds: the history of the committed bases."""

from __future__ import annotations

from dataclasses import dataclass

from boxlist.adapters_training.pocket.language import Leg


@dataclass(frozen=True)
class Plan:
    """Steps, batches, rates and seeds of the stages; the card quotes them."""

    legs: tuple[Leg, ...]
    vision_steps: int
    vision_batch: int = 64
    vision_rate: float = 1.5e-3
    words_seed: int = 5
    seed: int = 0


# The legs are the history of the committed weights. Of the first family's, the first three were cut short when they
# learnt too slowly, and the last began from the weights of the one before it rounded to bfloat16. Of the second's, all
# but the last were cut short; in the first leg heads 0 and 1 alone were told where to look, and up to the sixth each
# told head counted as much as all that count.
PLANS = {
    "qwen3vl": Plan(
        legs=(
            Leg("short", 600, 1.5e-3, of_steps=3000, seed=2),
            Leg("matching", 200, 1.2e-3, of_steps=1200, seed=3),
            Leg("matching", 200, 2e-3, of_steps=800, seed=4, objects=(2, 4)),
            Leg("matching", 600, 1.5e-3, of_steps=1000, seed=5, objects=(2, 8), gaze=0.3),
            Leg("full", 300, 1.2e-3, of_steps=900, seed=6, batch=20, questions=4, limit=420, gaze=0.2),
            Leg("full", 200, 1.2e-3, of_steps=700, seed=7, batch=20, questions=4, limit=420, gaze=0.4),
            Leg("counting", 400, 1.5e-3, seed=8, questions=7, limit=360, objects=(2, 8), gaze=0.5),
            Leg("full", 100, 8e-4, of_steps=350, seed=9, batch=20, questions=4, limit=420, gaze=0.3),
            Leg("full", 360, 1e-3, seed=10, batch=20, questions=4, limit=420, gaze=0.6),
            Leg("last", 400, 1.2e-3, seed=11, questions=4, limit=420, objects=(2, 10), gaze=0.6),
            Leg("budgets", 500, 8e-4, seed=12, batch=20, questions=4, limit=460, gaze=0.6),
        ),
        vision_steps=1500,
    ),
    "gemma4": Plan(
        legs=(
            Leg(
                "matching", 300, 1.5e-3, of_steps=600, seed=2, questions=10, limit=256, objects=(2, 8), gaze=0.6, told=0
            ),
            Leg(
                "reading",
                100,
                1.5e-3,
                of_steps=800,
                seed=3,
                questions=10,
                limit=256,
                objects=(2, 10),
                gaze=0.6,
                sight=0.3,
            ),
            Leg(
                "everything",
                200,
                1.5e-3,
                of_steps=700,
                seed=4,
                batch=12,
                questions=8,
                limit=320,
                gaze=0.6,
                sight=0.3,
                told=0.2,
            ),
            Leg(
                "reading",
                150,
                2e-3,
                of_steps=450,
                seed=5,
                batch=12,
                questions=12,
                limit=320,
                objects=(2, 5),
                gaze=1.0,
                sight=0.3,
                told=0.3,
            ),
            Leg(
                "reading",
                250,
                2e-3,
                of_steps=500,
                seed=6,
                batch=12,
                questions=12,
                limit=320,
                objects=(2, 6),
                gaze=0.4,
                sight=0.1,
                told=0.03,
            ),
            Leg(
                "everything",
                200,
                1.5e-3,
                of_steps=500,
                seed=7,
                batch=12,
                questions=8,
                limit=320,
                gaze=0.4,
                sight=0.1,
                told=0.03,
            ),
            Leg(
                "sparing",
                200,
                1.5e-3,
                of_steps=900,
                seed=8,
                batch=12,
                questions=10,
                limit=320,
                gaze=1.0,
                sight=0.1,
                told=0.02,
                rooted=True,
            ),
            Leg(
                "sparing",
                450,
                7e-4,
                seed=9,
                batch=12,
                questions=10,
                limit=320,
                gaze=1.0,
                sight=0.1,
                told=0.02,
                rooted=True,
            ),
        ),
        vision_steps=1200,
    ),
}
