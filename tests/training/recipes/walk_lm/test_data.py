import numpy as np
import pytest

from assets_data.lineage import DataError, Store
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import LENGTH, exact_walks, publish
from training.order import Order
from training.recipes.walk_lm.data import open_corpus


def test_rows_are_the_chunks_of_every_walk_in_order(data):
    walks = exact_walks(400, 0)
    assert LENGTH % 16 == 0 and len(data.row_keys) == 1200
    assert (data.rows(np.arange(1200)) == walks.reshape(1200, 16)).all()


def test_rows_come_in_the_order_asked_for_across_record_batches(data):
    rows = np.array([1199, 0, 500, 3, 500])
    assert (data.rows(rows) == exact_walks(400, 0).reshape(1200, 16)[rows]).all()


def test_the_remainder_of_a_walk_is_left_out(walk_store, manifest, recipe):
    data = recipe.open_data(walk_store, manifest, tiny(**{"model.context": 19}))
    assert len(data.row_keys) == 800 and data.rows(np.array([1]))[0].tolist() == exact_walks(400, 0)[0, 20:40].tolist()


def test_row_keys_differ_between_the_chunks_of_a_walk(data):
    assert len(np.unique(data.row_keys)) == 1200


def test_withdrawing_a_walk_leaves_every_batch_before_its_first_use_as_it_was(tmp_path, recipe):
    store, walks, heldout = Store(tmp_path), exact_walks(30, 0), exact_walks(20, 1)
    full = recipe.open_data(store, publish(store, walks, heldout), tiny())
    order = Order(5, full.row_keys, 4)
    first_uses = [min(next(order.uses(3 * walk + chunk, 99)) for chunk in range(3)) for walk in range(30)]
    withdrawn = int(np.argmax(first_uses))
    left = recipe.open_data(store, publish(store, np.delete(walks, withdrawn, axis=0), heldout), tiny())
    shorter = Order(5, left.row_keys, 4)
    batches = [
        [(data.rows(rows.batch(update)[0])).tolist() for update in range(first_uses[withdrawn] + 1)]
        for data, rows in ((full, order), (left, shorter))
    ]
    assert first_uses[withdrawn] > 5
    assert batches[0][:-1] == batches[1][:-1] and batches[0][-1] != batches[1][-1]


def test_a_manifest_without_walks_is_refused(store):
    from tests.training.walks import Nothing

    manifest = store.run_stage(
        name="text/dataset_manifest",
        module="assets_data.lineage.errors",
        config=Nothing(),
        parents={},
        build=lambda writer: writer.write_json("manifest.json", {"members": {"triples": {}}}),
    )
    with pytest.raises(DataError) as caught:
        open_corpus(store, manifest)
    assert caught.value.code == "MANIFEST_NO_MEMBER"
