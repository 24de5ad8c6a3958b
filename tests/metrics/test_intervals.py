"""Intervals against scipy, by simulation, and at the edges."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from boxlist.metrics import intervals
from boxlist.metrics.intervals import percentile_intervals, resample_weights, resampled_sums, wilson_interval


def test_weights_are_resamples_of_the_images() -> None:
    weights = np.concatenate([chunk.copy() for chunk in resample_weights(50, 400, seed=1)])
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert (weights == np.round(weights)).all()
    assert weights.min() == 0
    # multinomial: an image's weight has variance 1 - 1/n; 20,000 draws
    assert weights.var() == pytest.approx(0.98, abs=0.03)
    assert np.abs(weights.mean(axis=0) - 1).max() < 5 * np.sqrt(1 / 400)


def test_the_seed_decides() -> None:
    def first(seed: int) -> list[float]:
        chunk: list[float] = next(iter(resample_weights(20, 5, seed)))[0].tolist()
        return chunk

    assert first(3) == first(3) != first(4)


def test_chunks_are_no_part_of_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(0).random((30, 2))
    whole = resampled_sums(columns, 50)
    monkeypatch.setattr(intervals, "_CHUNK_WEIGHTS", 70)
    np.testing.assert_allclose(resampled_sums(columns, 50), whole, rtol=1e-12)


@pytest.mark.parametrize("n_images", [1, 80, 70_000])
def test_sums_over_resamples(n_images: int) -> None:
    """The same as gathering the drawn images; 70,000 need wider indices."""
    columns = np.random.default_rng(0).random((n_images, 3))
    sums = resampled_sums(columns, 4, seed=2)
    weights = np.concatenate([chunk.copy() for chunk in resample_weights(n_images, 4, seed=2)])
    gathered = [columns[np.repeat(np.arange(n_images), row.astype(int))].sum(axis=0) for row in weights]
    np.testing.assert_allclose(sums, gathered, rtol=1e-12)


def test_memory_is_bounded_for_many_images() -> None:
    columns = np.ones((5_000, 4))
    tracemalloc.start()
    resampled_sums(columns, resamples=200)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # all at once would be 8 MB of weights
    assert peak < 2_000_000


def test_percentile_interval_against_scipy() -> None:
    """A ratio of sums, as F1 is. Both resample at random, so ends differ by a fraction of the width."""
    rng = np.random.default_rng(7)
    numerator, denominator = rng.poisson(3, 80).astype(float), rng.poisson(6, 80).astype(float)
    sums = resampled_sums(np.stack([numerator, denominator], axis=1), 20_000, seed=0)
    (own,) = percentile_intervals((sums[:, 0] / sums[:, 1])[:, None])
    theirs = stats.bootstrap(
        (numerator, denominator),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        n_resamples=20_000,
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert own is not None
    width = theirs.high - theirs.low
    assert own.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert own.high == pytest.approx(theirs.high, abs=0.03 * width)


@pytest.mark.parametrize(("n_images", "at_least", "at_most"), [(20, 0.83, 0.93), (80, 0.91, 0.98)])
def test_coverage_by_simulation(n_images: int, at_least: float, at_most: float) -> None:
    """F1 over images of which one in ten loops: how often the interval holds the truth (notes: 0.883 and 0.948)."""
    rng = np.random.default_rng(11)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        truths = rng.integers(3, 11, n)
        found = rng.binomial(truths, rng.beta(2, 2, n))
        given = found + rng.poisson(1.5, n) + np.where(rng.random(n) < 0.1, 20, 0)
        return 2.0 * found, (given + truths).astype(float)

    numerator, denominator = draw(200_000)
    truth = numerator.sum() / denominator.sum()
    held = 0
    trials = 300
    for trial in range(trials):
        sums = resampled_sums(np.stack(draw(n_images), axis=1), 400, seed=trial)
        (interval,) = percentile_intervals((sums[:, 0] / sums[:, 1])[:, None])
        assert interval is not None
        held += interval.low <= truth <= interval.high
    assert at_least <= held / trials <= at_most


def test_undefined_resamples_are_left_out_up_to_a_point() -> None:
    samples = np.tile(np.arange(100.0)[:, None], (1, 4))
    samples[:5, 1] = np.nan
    samples[:6, 2] = np.nan
    samples[:, 3] = np.nan
    whole, some, many, all_ = percentile_intervals(samples)
    assert whole == pytest.approx(tuple(np.percentile(np.arange(100.0), [2.5, 97.5])))
    assert some == pytest.approx(tuple(np.percentile(np.arange(5.0, 100.0), [2.5, 97.5])))
    assert (many, all_) == (None, None)


@pytest.mark.parametrize(("hits", "n"), [(80, 80), (0, 80), (0, 1), (1, 1), (41, 80), (3, 7), (0, 5000)])
def test_wilson_against_scipy(hits: int, n: int) -> None:
    theirs = stats.binomtest(hits, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_interval(hits / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_the_notes() -> None:
    assert wilson_interval(1.0, 80).low == pytest.approx(0.954, abs=0.0005)
