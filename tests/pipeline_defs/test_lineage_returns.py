"""A text that was left out because a withdrawn record had it comes back; the plan knows where."""

import dataclasses

import pytest

from assets_data.domains.text.config import DuplicatesConfig
from assets_data.domains.text.raw_slice import record_id
from assets_data.lineage import Store
from assets_data.lineage.receipts.reader import read_receipt
from pipeline_defs.answers.status import stand
from pipeline_defs.answers.withdrawal.apply import apply_plan
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


def test_lists_made_from_earlier_duplicates_are_told_by_what_holds_no_withdrawn_record_afterwards(tmp_path):
    """The lists of a to d name the duplicates without e, which no name stands for once e is there."""
    store, slices = Store(tmp_path / "store"), {**SLICES, "e": documents(8, seed=4)}
    learners = make_learners(store, tmp_path / "slices", SLICES)
    earlier = make_data(store, tmp_path / "slices", SLICES, learners=learners)
    nodes = make_data(store, tmp_path / "slices", slices, learners=learners)
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    for name in "bd":
        assert parents(store, f"text/drops/{name}") == {
            nodes[f"text/documents/{name}"].id,
            earlier["text/duplicates"].id,
        }
    gone = {bytes.fromhex(record_id(SECOND))}
    apply_plan(store, make_plan(store, gone, KEEP))
    now = {name: store.pointed(name).id for name in nodes}
    never = make_data(Store(tmp_path / "never"), tmp_path / "left", slices, [SECOND], learners)
    for name in slices:
        assert now[f"text/drops/{name}"] == never[f"text/drops/{name}"].id
        for parent in parents(store, f"text/drops/{name}"):
            assert parent not in {earlier["text/duplicates"].id, nodes["text/duplicates"].id}
    assert all(standing.fresh for name, standing in stand(store).items() if name.startswith("text/drops"))


def parents(store, name):
    return {parent.id for parent in read_receipt(store.pointed(name).receipt).parents}
