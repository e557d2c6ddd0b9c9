import numpy as np
import pytest

from assets_data.lineage import DataError, Store
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import LENGTH, exact_walks, publish
from training.job import named_inputs
from training.order import Order


def test_rows_are_the_chunks_of_every_walk_in_order(data):
    walks = exact_walks(400, 0)
    assert LENGTH % 16 == 0 and len(data.row_keys) == 1200
    assert (data.rows(np.arange(1200)) == walks.reshape(1200, 16)).all()


def test_rows_come_in_the_order_asked_for_across_record_batches(data):
    rows = np.array([1199, 0, 500, 3, 500])
    assert (data.rows(rows) == exact_walks(400, 0).reshape(1200, 16)[rows]).all()


def test_the_remainder_of_a_walk_is_left_out(walk_store, inputs, recipe):
    data = recipe.open_data(walk_store, inputs, tiny(**{"model.context": 19}))
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


@pytest.mark.parametrize("missing", ["walk_corpus", "manifest"])
def test_inputs_without_one_that_the_recipe_reads_are_refused_by_name(inputs, recipe, missing):
    given = {name: snapshot for name, snapshot in inputs.items() if name != missing}
    with pytest.raises(DataError) as caught:
        named_inputs(recipe, given)
    assert caught.value.code == "RECIPE_INPUTS" and f"no ['{missing}']" in str(caught.value)
    assert recipe.inputs[missing].kind in str(caught.value)
