"""Resamples of more records than 16 bits tell apart, which are drawn in parts."""

import numpy as np
import pytest

from hfcli.metrics import resampling


@pytest.fixture
def _small_parts(monkeypatch):
    monkeypatch.setattr(resampling, "PART", 4)


@pytest.mark.parametrize(("n", "powers"), [(11, [4, 4, 2, 1]), (12, [4, 4, 4]), (5, [4, 1]), (7, [4, 2, 1])])
@pytest.mark.usefixtures("_small_parts")
def test_parts_are_powers_of_two(n, powers):
    assert resampling._powers(n) == powers


@pytest.mark.parametrize("kinds", [np.arange(11), np.array([0, 1, 1, 2, 3, 4, 5, 5, 5, 0, 6])], ids=["each", "shared"])
@pytest.mark.usefixtures("_small_parts")
def test_parts_have_the_law_of_drawing_records(kinds):
    share = np.bincount(kinds) / len(kinds)
    weights = np.concatenate(list(resampling.weights(kinds, 30_000, seed=5)))
    assert (weights.sum(axis=1) == len(kinds)).all()
    np.testing.assert_allclose(weights.mean(axis=0) / len(kinds), share, atol=0.005)
    np.testing.assert_allclose(np.cov(weights.T) / len(kinds), np.diag(share) - np.outer(share, share), atol=0.01)
    assert (weights[:, -1] == 0).mean() == pytest.approx((1 - share[-1]) ** len(kinds), abs=0.02)
    four = np.bincount(weights[:, 2].astype(int), minlength=5)[4] / len(weights)  # P(X = 4), X ~ B(11, 1/11)
    assert four == pytest.approx(330 / 11**4 * (10 / 11) ** 7, abs=0.004)


@pytest.mark.usefixtures("_small_parts")
def test_resamples_of_parts_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    at_once = np.concatenate(list(resampling.weights(np.arange(11), 50, seed=1)))
    monkeypatch.setattr(resampling, "BLOCK_COUNTS", 3 * 11)
    blocks = list(resampling.weights(np.arange(11), 50, seed=1))
    assert {len(block) for block in blocks} == {3, 2}
    np.testing.assert_array_equal(np.concatenate(blocks), at_once)


def test_many_records_are_drawn_evenly():
    n = resampling.PART + 37
    (weights,) = resampling.weights(np.arange(n), 20, seed=0)
    assert (weights.sum(axis=1) == n).all()
    assert weights.var(axis=1) == pytest.approx(1, abs=0.02)
    tenths = weights[:, : n - n % 10].reshape(20, 10, -1).mean(axis=2)
    assert tenths == pytest.approx(1, abs=0.08)


def test_few_records_are_drawn_by_their_index():
    """As sacrebleu draws them, so that the same seed gives the same resamples."""
    (weights,) = resampling.weights(np.arange(50), 7, seed=12345)
    drawn = np.random.default_rng(12345).choice(50, size=(7, 50), replace=True)
    np.testing.assert_array_equal(weights, [np.bincount(row, minlength=50) for row in drawn])
