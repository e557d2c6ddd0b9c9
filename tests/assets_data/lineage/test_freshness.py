"""Fresh and stale, against recomputing everything, and why."""

import pytest

from assets_data.lineage.queries.freshness import CODE, CONFIG, CONTENT, PARENT, Expectation, differing, judge
from assets_data.lineage.receipts.reader import read_receipt
from benchmarks.lineage_status import compare
from tests.assets_data.lineage.mini_chain import make_chain, make_raw, texts


@pytest.mark.parametrize("graphs", [150, pytest.param(10_000, marks=pytest.mark.slow)])
def test_never_fresh_when_a_recompute_would_redo_it_and_hardly_ever_stale_when_not(graphs):
    rates = compare(graphs, 60 if graphs < 1000 else 1000)
    assert rates["false fresh"] == 0 and rates["stale"] > graphs
    assert rates["false_stale_rate"] <= 0.01


def receipts_of(chain):
    return {name: (snapshot.id, read_receipt(snapshot.receipt)) for name, snapshot in chain.items()}


def expected_of(receipts, **changed):
    """Everything as it was, but for ``changed``."""
    named = {key: [n for n, (other, _) in receipts.items() if other == key] for key, _ in receipts.values()}
    expected = {}
    for name, (_, receipt) in receipts.items():
        parents: dict[str, list[str]] = {}
        for parent in receipt.parents:
            parents.setdefault(parent.input, []).extend(named[parent.id])
        expected[name] = Expectation(
            config=receipt.config,
            code_version=receipt.code_version,
            arguments=receipt.arguments,
            parents=parents,
        )
    return expected | changed


def test_a_chain_just_made_is_fresh(store):
    receipts = receipts_of(make_chain(store))
    assert all(standing.fresh for standing in judge(receipts, expected_of(receipts)).values())


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (CONFIG, {"config": {"salt": 1}}),
        (CODE, {"code_version": "sha256:other"}),
        (CONTENT, {"arguments": {"slice": "a", "parts_digest": "other"}}),
        (CONTENT, {"content": "a file is gone"}),
    ],
)
def test_the_reason_is_named_where_it_is_and_passed_on_as_the_parents(store, reason, change):
    receipts = receipts_of(make_chain(store))
    receipt = receipts["text/raw_slice/a"][1]
    same = {"config": receipt.config, "code_version": receipt.code_version, "arguments": receipt.arguments}
    standings = judge(receipts, expected_of(receipts, **{"text/raw_slice/a": Expectation(**{**same, **change})}))
    assert [kind for kind, _ in standings["text/raw_slice/a"].reasons] == [reason]
    assert standings["text/raw_slice/b"].fresh
    assert {kind for kind, _ in standings["text/triples/a"].reasons} == {PARENT}
    assert not standings["toy/gate_report"].fresh


def test_a_parent_made_anew_while_its_child_ran_makes_the_child_stale_f40(store):
    """The receipt names what was read; the name stands for another one by now."""
    chain = make_chain(store)
    read = chain["text/raw_slice/a"].id
    chain["text/raw_slice/a"] = make_raw(store, "a", [*texts("a"), "one more"])
    receipts = receipts_of(chain)
    expected = expected_of(receipts_of(make_chain(store)))
    assert read in [parent.id for parent in receipts["text/triples/a"][1].parents]
    standings = judge(receipts, {**expected, "text/raw_slice/a": Expectation()})
    assert standings["text/raw_slice/a"].fresh
    assert standings["text/triples/a"].reasons[0] == (PARENT, "text/raw_slice/a is another one than was read")


def test_differences_are_named_by_path_and_true_is_not_one():
    assert differing({"a": {"b": 1}, "c": [1]}, {"a": {"b": 2}, "c": [1]}) == ["a.b: 1 -> 2"]
    assert differing({"a": True}, {"a": 1}) == ["a: true -> 1"] and differing({"a": 1}, {"a": 1}) == []
    assert differing({"a": "x"}, {"b": [1]}) == ['a: "x" -> not set', "b: not set -> [1]"]
