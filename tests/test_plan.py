"""The plan of a training run: which records form which step, whatever the memory and the number of devices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfcli.runtime.plan import Plan, cut


def plan(counts, seed=42, batch=8, longest=40):
    rng = np.random.default_rng(0)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Plan(starts, rng.integers(3, longest, starts[-1]), batch, seed)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=50),
    st.integers(1, 17),
    st.integers(1, 300),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_every_record_is_in_an_epoch_once_however_a_step_is_cut(counts, batch, max_tokens, world, epoch):
    p = plan(counts, batch=batch)
    seen: list[int] = []
    sizes = set()
    for step in range(p.steps_per_epoch * epoch, p.steps_per_epoch * (epoch + 1)):
        records = p.step(step)
        sizes.add(len(records))
        seen += records.tolist()
        ranks = p.micro_batches(step, max_tokens, world)
        assert len(ranks) == world
        pieces = [piece for rank in ranks for piece in rank]
        assert sorted(np.concatenate(pieces)) == sorted(p.features(records))
        for piece in pieces:
            assert len(piece) == 1 or len(piece) * p.lengths[piece].max() <= max_tokens
    assert sorted(seen) == list(range(p.records))
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) == batch or p.records % batch


def test_the_order_is_another_in_every_epoch_and_with_every_seed():
    p = plan([1] * 64, batch=64)
    assert p.step(0).tolist() != p.step(1).tolist()
    assert p.step(0).tolist() != plan([1] * 64, batch=64, seed=43).step(0).tolist()
    assert p.step(1).tolist() == plan([1] * 64, batch=64).step(1).tolist()


def test_ranks_get_about_as_many_tokens_each():
    p = plan([1] * 64, batch=64, longest=400)
    loads = [sum(p.lengths[piece].sum() for piece in rank) for rank in p.micro_batches(0, 1000, 4)]
    assert max(loads) < 1.1 * min(loads)


def test_some_ranks_may_have_nothing():
    assert sum(bool(rank) for rank in plan([1] * 3).micro_batches(0, 1000, 8)) == 3


@pytest.mark.parametrize(("max_tokens", "sizes"), [(100, [1, 1, 4]), (10_000, [6]), (1, [1] * 6), (160, [2, 4])])
def test_pieces_are_filled_from_the_longest(max_tokens, sizes):
    lengths = np.array([80, 60, 20, 20, 20, 20])
    assert [len(piece) for piece in cut(range(6), lengths, max_tokens)] == sizes
