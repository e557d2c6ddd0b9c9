"""A text that was left out because a withdrawn record had it comes back; the plan knows where."""

import dataclasses

import pytest

from assets_data.domains.text.config import DuplicatesConfig
from assets_data.domains.text.raw_slice import record_id
from assets_data.lineage import Store
from pipeline_defs.answers.withdrawal.plan import KEEP, make_plan
from tests.assets_data.domains.text.corpora import TEXT, documents
from tests.pipeline_defs.text_chain import make_data, make_learners

FIRST, SECOND, INSIDE, ALONE, NEAR = documents(5, seed=9)
CHANGED = NEAR.replace("document 9-4", "document 9-5")  # all but the same
SLICES = {
    "a": [*documents(20), FIRST, SECOND, INSIDE, f"{INSIDE}\n\n", ALONE, NEAR],
    "b": [*documents(8, seed=1), f"{FIRST}  \n", f"{SECOND}\n\n", CHANGED],
    "c": [*documents(8, seed=2), f"{SECOND}  \n"],
    "d": documents(8, seed=3),
}
NEARLY = dataclasses.replace(TEXT, duplicates=DuplicatesConfig(near=True, threshold=0.7))


@pytest.fixture(scope="module", params=[TEXT, NEARLY], ids=["exact", "near"])
def chain(request, tmp_path_factory):
    """The store with the data under its names. Read-only."""
    folder = tmp_path_factory.mktemp("chain")
    store = Store(folder / "store")
    learners = make_learners(store, folder / "slices", SLICES, request.param)
    nodes = make_data(store, folder / "slices", SLICES, learners=learners, config=request.param)
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    return store, nodes, learners, request.param


@pytest.mark.parametrize(
    ("withdrawn", "made_again"),
    [
        ([FIRST], "ab"),
        ([SECOND], "ab"),  # the third slice loses it to the second now
        ([FIRST, f"{SECOND}\n\n", SECOND], "abc"),
        ([f"{SECOND}\n\n"], "b"),
        ([INSIDE], "a"),
        ([ALONE], "a"),
    ],
    ids=["one", "first of three", "two of three", "not the owner", "inside a slice", "alone"],
)
def test_the_slices_of_the_plan_are_those_that_differ_without_the_record(chain, tmp_path, withdrawn, made_again):
    store, nodes, learners, config = chain
    never = make_data(Store(tmp_path / "store"), tmp_path / "slices", SLICES, withdrawn, learners, config)
    plan = make_plan(store, {bytes.fromhex(record_id(text)) for text in withdrawn}, KEEP)
    different = {name for name in nodes if nodes[name].id != never[name].id}
    assert set(plan.remake) == different
    assert {name[-1] for name in different if name.startswith("text/triples/")} == set(made_again)


def test_of_near_duplicates_every_slice_is_named_that_was_compared(chain):
    store, _, _, config = chain
    remake = make_plan(store, {bytes.fromhex(record_id(NEAR))}, KEEP).remake
    wanted = "abcd" if config is NEARLY else "a"
    assert {name[-1] for name in remake if name.startswith("text/triples/")} == set(wanted)
