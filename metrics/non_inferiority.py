"""Whether a run is worse than its baseline by more than is allowed: pass, fail, or cannot tell.

    pass         the one-sided 95% bound of how much worse the run may be lies within the margin
    fail         the run is worse by more than the margin, and worse than the baseline beyond chance
    cannot tell  neither: too few images for what was found

Beyond chance: the paired 95% interval leaves 0 out, and so does the two-sided swap permutation at 5%, Holm-adjusted
over all lines that are judged together. So a gate of any number of lines fails in at most 2.5% of cases where there is
no true difference. Why these rules and not others:
docs/decisions/004-gate-verdicts.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, isfinite, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from boxlist.metrics.intervals import FEW_IMAGES, RESAMPLES
from boxlist.metrics.paired import (
    PERMUTATIONS,
    POWER,
    SIGNIFICANCE,
    Pair,
    holm,
    images_in,
    pair_by_picture,
    permutation_p,
    permuted_differences,
    ratio_value,
    resampled_differences,
    standard_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.table import Metric

Verdict: TypeAlias = Literal["pass", "fail", "cannot tell"]

MAX_IMAGES_NEEDED = 10_000_000
"""More than that is said as "no number of images that anybody has"."""

_ROUNDING = 1e-12
_Z_POWER = NormalDist().inv_cdf(POWER)
_Z_BOUND = NormalDist().inv_cdf(1 - SIGNIFICANCE)


@dataclass(frozen=True)
class Evidence:
    """What the images say about one metric of a run and its baseline.

    `worse_by` is how much worse the run is (negative: better), `bound` its one-sided 95% upper bound, `least` the lower
    end of its two-sided 95% interval, `p` the two-sided permutation p-value, `error` the standard error (None: no image
    says how large it is), `jump` by how much an image that changed moved the metric, `n` the images it is about. Where
    several questions are about one picture, `n` counts questions and `pictures` their pictures, and the images that
    all else speaks of are pictures.
    """

    baseline: float | None
    run: float | None
    worse_by: float | None
    bound: float | None
    least: float | None
    p: float | None
    error: float | None
    jump: float | None
    n: int
    none_worse: bool
    pictures: int | None = None

    @property
    def n_pictures(self) -> int:
        """How many pictures it is about: what resamples draw, and what its certainty rests on."""
        return self.n if self.pictures is None else self.pictures


class Judgement(NamedTuple):
    """The verdict on one line.

    `p` is adjusted for the other lines. `detectable` is the true worsening at which the line fails four times in five;
    `images_needed` is how many images would settle it four times in five, were the figures to stay as they are.
    """

    verdict: Verdict
    evidence: Evidence
    p: float | None
    detectable: float | None
    images_needed: int | None
    reason: str


def weigh(
    pairs: Sequence[Pair],
    metrics: Sequence[Metric],
    seed: int = 0,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    pictures: NDArray[np.int64] | None = None,
) -> list[Evidence]:
    """The evidence for each metric, `pairs` being (baseline, run) over the same images; metrics must be ratios.

    `pictures` says which images are about one picture (`pictures.pictures_of`).
    """
    if not pairs:
        return []
    drawn = [pair_by_picture(pair, pictures) for pair in pairs]
    samples = resampled_differences(drawn, resamples, seed)
    permuted = permuted_differences(drawn, permutations, seed)
    found = []
    for pair, by_picture, metric, sampled, swapped in zip(pairs, drawn, metrics, samples.T, permuted.T, strict=True):
        evidence = _evidence(by_picture, metric, sampled, swapped)
        if pictures is not None:
            figures = ratio_value(pair.a), ratio_value(pair.b)  # the same but for rounding
            evidence = replace(evidence, baseline=figures[0], run=figures[1], n=images_in(pair), pictures=evidence.n)
        found.append(evidence)
    return found


def judge(evidence: Sequence[Evidence], margins: Sequence[float]) -> list[Judgement]:
    """The verdicts on lines that are judged together; a margin is above 0, in the metric's unit."""
    adjusted = holm([each.p for each in evidence])
    return [
        _judgement(each, margin, p, SIGNIFICANCE / max(1, len(evidence)))
        for each, margin, p in zip(evidence, margins, adjusted, strict=True)
    ]


def unchanged(judgement: Judgement) -> Judgement:
    """The verdict where no image changed in any column, so that the run answers as the baseline does: pass."""
    return judgement._replace(verdict="pass", images_needed=None, reason="no image changed")


def _evidence(pair: Pair, metric: Metric, samples: NDArray[np.float64], permuted: NDArray[np.float64]) -> Evidence:
    before, after = ratio_value(pair.a), ratio_value(pair.b)
    n = images_in(pair)
    if before is None or after is None:
        return Evidence(before, after, None, None, None, None, None, None, n, none_worse=False)
    sign = -1.0 if metric.higher_is_better else 1.0
    effects = sign * _effects(pair, before)
    none_worse = not bool((effects > _ROUNDING).any())
    known = sign * samples[~np.isnan(samples)]
    edges = [100 * SIGNIFICANCE / 2, 100 * (1 - SIGNIFICANCE)]
    least, bound = np.percentile(known, edges).tolist() if len(known) else (None, None)
    if bound is not None and none_worse and metric.unit == "share":
        bound += _unseen(n)
    total = float(np.abs(effects).sum())
    return Evidence(
        baseline=before,
        run=after,
        worse_by=sign * (after - before),
        bound=bound,
        least=least,
        p=permutation_p(after - before, permuted),
        error=standard_error(samples),
        jump=float((effects**2).sum()) / total if total > _ROUNDING else 1.0 if metric.unit == "share" else None,
        n=n,
        none_worse=none_worse,
    )


def _effects(pair: Pair, before: float) -> NDArray[np.float64]:
    """By how much each image would change the metric, were all images like it; to first order for pooled metrics."""
    gains = np.subtract(pair.b.numerator, pair.a.numerator) - before * np.subtract(
        pair.b.denominator, pair.a.denominator
    )
    effects: NDArray[np.float64] = gains[pair.a.counts | pair.b.counts] / pair.a.denominator[pair.a.counts].mean()
    return effects


def _unseen(n_images: int) -> float:
    """What may be true of this share of images though none of n showed it, at 95% (the rule of three: about 3 / n)."""
    return float(1 - SIGNIFICANCE ** (1 / n_images))


def _judgement(evidence: Evidence, margin: float, p: float | None, level: float) -> Judgement:
    detectable = _detectable(evidence, margin, level)
    if evidence.worse_by is None or evidence.bound is None or evidence.least is None or p is None:
        return Judgement("cannot tell", evidence, p, None, None, "undefined: no image that it is about")
    if evidence.worse_by > margin and p <= SIGNIFICANCE and evidence.least > 0:
        return Judgement("fail", evidence, p, detectable, None, "worse by more than the margin, beyond chance")
    if evidence.bound < margin and evidence.n_pictures >= FEW_IMAGES:
        return Judgement("pass", evidence, p, detectable, None, "worse by less than the margin, if at all")
    needed = _images_needed(evidence, margin, level)
    if evidence.bound < margin:
        reason = f"under {FEW_IMAGES} images nothing passes"
    elif evidence.none_worse:
        reason = f"no image got worse, but one in {1 / evidence.bound:.0f} may"
    elif evidence.worse_by > margin:
        reason = "worse by more than the margin, but it may be chance"
    else:
        reason = "it may be worse by more than the margin"
    return Judgement("cannot tell", evidence, p, detectable, needed, reason)


def _detectable(evidence: Evidence, margin: float, level: float) -> float | None:
    """The true worsening at which a line fails with 80% probability.

    Worsening makes noise of its own: where images change by `jump` each, a worsening of x adds jump * x / n to the
    variance of the difference. So x is what solves x = (z(level) + z(80%)) * noise(x), to be beyond chance, and what
    solves x = margin + z(80%) * noise(x), to be beyond the margin; the larger of the two.
    """
    if evidence.jump is None:
        return None
    variance, jump = (evidence.error or 0.0) ** 2, evidence.jump / evidence.n_pictures
    z_both = NormalDist().inv_cdf(1 - level / 2) + _Z_POWER
    beyond_chance = _root(z_both**2 * jump, z_both**2 * variance)
    beyond_margin = margin + _root(_Z_POWER**2 * jump, _Z_POWER**2 * (variance + jump * margin))
    return max(beyond_chance, beyond_margin)


def _root(linear: float, constant: float) -> float:
    """The x >= 0 with x^2 = linear * x + constant."""
    return (linear + sqrt(linear**2 + 4 * constant)) / 2


def _images_needed(evidence: Evidence, margin: float, level: float) -> int | None:
    """How many images would settle the line with 80% probability if the figures stay; None where no number would."""
    worse_by, error = evidence.worse_by or 0.0, evidence.error
    least = max(FEW_IMAGES, evidence.n_pictures + 1)
    if evidence.none_worse:
        return max(FEW_IMAGES, ceil(log(SIGNIFICANCE) / log(1 - margin))) if margin < 1 else FEW_IMAGES
    if error is None:
        return FEW_IMAGES if evidence.n_pictures < FEW_IMAGES else None
    room = abs(worse_by - margin)
    if worse_by <= margin:
        ratio = (_Z_BOUND + _Z_POWER) * error / room if room else float("inf")
    else:
        z_level = NormalDist().inv_cdf(1 - level / 2)
        ratio = max((z_level + _Z_POWER) * error / worse_by, _Z_POWER * error / room)
    needed = evidence.n_pictures * ratio**2
    return max(least, ceil(needed)) if isfinite(needed) and needed <= MAX_IMAGES_NEEDED else None
