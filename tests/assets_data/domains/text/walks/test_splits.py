import numpy as np
import pytest

from assets_data.domains.text.walks import generate
from assets_data.domains.text.walks.rules import Rule
from assets_data.domains.text.walks.splits import HeldoutKeys, draw_split
from assets_data.lineage import DataError, array_key64

from .graphs import graph_of, sampler


@pytest.fixture(scope="module")
def narrow():
    """Few distinct walks of six: collisions are common."""
    edges = {(0, 1): 1, (0, 2): 1, (1, 3): 1, (2, 3): 1, (1, 2): 1, (3, 0): 1, (2, 1): 1}
    return sampler(graph_of(edges, [0, 0, 1, 1]), [Rule(vertex=0, r=2, target_block=1)], 7)


def walks_of(batches):
    batches = list(batches)
    return np.concatenate([batch.walks for batch in batches]), sum(batch.left_out for batch in batches)


@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_heldout_walks_are_distinct_and_none_is_a_training_walk(narrow, monkeypatch, batch):
    monkeypatch.setattr(generate, "BATCH_STEPS", 7 * batch)
    heldout = HeldoutKeys()
    kept, repeated = walks_of(draw_split(narrow, "heldout", 12, 1, heldout.admit))
    train, left_out = walks_of(draw_split(narrow, "train", 200, 1, heldout.spare))
    assert len(kept) == len(np.unique(kept, axis=0)) == 12
    assert len(train) == 200
    assert not {*map(tuple, kept.tolist())} & {*map(tuple, train.tolist())}
    assert repeated > 0 and left_out > 0
    assert sorted(heldout.keys) == sorted(array_key64(kept))


def test_a_walk_left_out_is_replaced_by_the_next_of_its_stream(narrow):
    heldout = HeldoutKeys()
    walks_of(draw_split(narrow, "heldout", 12, 1, heldout.admit))
    train, _ = walks_of(draw_split(narrow, "train", 200, 1, heldout.spare))
    stream = narrow.draw("train", 0, 2000).walks
    assert np.array_equal(train, stream[heldout.spare(array_key64(stream))][:200])


def test_row_keys_belong_to_their_rows(narrow):
    for rows in draw_split(narrow, "train", 50, 2, HeldoutKeys().spare):
        assert np.array_equal(rows.keys, array_key64(rows.walks))


def test_more_distinct_walks_than_there_are_is_refused(narrow):
    with pytest.raises(DataError) as error:
        walks_of(draw_split(narrow, "heldout", 5000, 1, HeldoutKeys().admit))
    assert error.value.code == "WALK_TOO_FEW_DISTINCT"
