"""How often `boxlist gate` errs: 1,000 seeded pairs of runs of each kind, judged by the gate's own functions.

A pair is drawn as per-image counts. Images have 3 to 12 objects and an ease of their own, shared by both runs; a run
finds each object by chance, adds false positives, and answers some images with a loop of 15 to 44 copies. "worse"
pairs differ truly by the detectable difference that the pairs without a difference state on average.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from boxlist.metrics.non_inferiority import judge, weigh
from boxlist.metrics.paired import metric_pair, ratio_value
from boxlist.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.non_inferiority import Judgement

MARGINS = {"f1@0.3": 0.03, "duplicate_rate": 0.02}
SIZES = (80, 400)
POPULATION = 200_000
PERMUTATIONS = 2_000  # a fifth of the gate's own, to save time


@dataclass(frozen=True)
class Model:
    """How a simulated model answers: how much less it finds than the image's ease says, and how often it loops."""

    missed: float
    loops: float


BASELINES = {"1 answer in 50 loops": Model(0.0, 0.02), "1 answer in 10 loops": Model(0.0, 0.1)}
WORSENED: dict[str, Callable[[Model, float], Model]] = {
    "f1@0.3": lambda model, by: replace(model, missed=model.missed + by),
    "duplicate_rate": lambda model, by: replace(model, loops=model.loops + by),
}


def draw(model: Model, other: Model, n_images: int, seed: int) -> tuple[Columns, Columns]:
    """Columns of two runs over the same drawn images."""
    rng = np.random.default_rng((n_images, seed))
    n_gt, ease = rng.integers(3, 13, n_images), rng.beta(3, 2, n_images)

    def answers(by: Model) -> Columns:
        found = rng.binomial(n_gt, np.clip(ease - by.missed, 0, 1))
        copies = np.where(rng.random(n_images) < by.loops, rng.integers(15, 45, n_images), 0)
        n_pred = found + rng.poisson(1.5, n_images) + copies
        return {"tp@0.3": found, "n_pred": n_pred, "n_gt": n_gt, "duplicate_rate": copies / np.maximum(n_pred, 1)}

    return answers(model), answers(other)


def judged(baseline: Model, run: Model, n_images: int, seed: int) -> dict[str, Judgement]:
    """What a gate with all of MARGINS says about one drawn pair."""
    before, after = draw(baseline, run, n_images, seed)
    pairs = [metric_pair(name, before, after) for name in MARGINS]
    evidence = weigh(pairs, [METRICS[name] for name in MARGINS], seed, permutations=PERMUTATIONS)
    return dict(zip(MARGINS, judge(evidence, list(MARGINS.values())), strict=True))


def true_worsening(metric: str, baseline: Model, run: Model) -> float:
    """How much worse `run` is, over so many images that chance plays no part."""
    pair = metric_pair(metric, *draw(baseline, run, POPULATION, 0))
    worse_by = (ratio_value(pair.b) or 0.0) - (ratio_value(pair.a) or 0.0)
    return -worse_by if METRICS[metric].higher_is_better else worse_by


def worsened(metric: str, baseline: Model, by: float) -> Model:
    """The model whose metric is truly worse by `by`: bisection of what makes it worse."""
    low, high = 0.0, 0.9
    for _ in range(16):
        middle = (low + high) / 2
        too_little = true_worsening(metric, baseline, WORSENED[metric](baseline, middle)) < by
        low, high = (middle, high) if too_little else (low, middle)
    return WORSENED[metric](baseline, high)


def rates(metric: str, found: list[dict[str, Judgement]]) -> str:
    verdicts = [line[metric].verdict for line in found]
    return "".join(f"{verdicts.count(name) / len(verdicts):>12.3f}" for name in ("fail", "cannot tell", "pass"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    pairs = range(parser.parse_args().pairs)
    print(f"{len(pairs)} pairs a row; margins {', '.join(f'{name} {margin}' for name, margin in MARGINS.items())}")
    print(f"{'baseline':<22}{'images':>7}  {'truly worse by':<32}{'fail':>12}{'cannot tell':>12}{'pass':>12}")
    for title, baseline in BASELINES.items():
        for n_images in SIZES:
            same = [judged(baseline, baseline, n_images, seed) for seed in pairs]
            anywhere = np.mean([any(line.verdict == "fail" for line in lines.values()) for lines in same])
            print(f"{title:<22}{n_images:>7}  {'nothing, whole gate':<32}{anywhere:>12.3f}")
            for metric, margin in MARGINS.items():
                print(f"{title:<22}{n_images:>7}  {f'0      {metric}':<32}{rates(metric, same)}")
                stated = float(np.mean([lines[metric].detectable or np.nan for lines in same]))
                for by, why in ((stated, "stated"), (margin, "margin")):
                    run = worsened(metric, baseline, by)
                    found = [judged(baseline, run, n_images, seed) for seed in pairs]
                    print(f"{title:<22}{n_images:>7}  {f'{by:.3f}  {metric}, {why}':<32}{rates(metric, found)}")


if __name__ == "__main__":
    main()
