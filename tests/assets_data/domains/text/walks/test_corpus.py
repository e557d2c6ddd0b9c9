import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from assets_data.domains.text.tokenizer import load_tokenizer
from assets_data.domains.text.triples import iter_windows
from assets_data.domains.text.walks import config
from assets_data.domains.text.walks.config import RulesConfig
from assets_data.domains.text.walks.corpus import read_graph
from assets_data.domains.text.walks.read import iter_walks, open_graph
from assets_data.domains.text.walks.rules import rule_chances
from assets_data.lineage import DataError, Store, array_key64

from .conftest import SMALL, make
from .graphs import broken_promises


def walks_of(corpus, split):
    return np.concatenate(list(iter_walks(corpus, split)))


def test_every_promise_is_kept_in_both_splits(corpus):
    graph, rules = read_graph(corpus), open_graph(corpus).rules
    for split in ("train", "heldout"):
        broken, checks = broken_promises(graph, rules, walks_of(corpus, split)[:500])
        assert broken == []
        assert checks > 100


def test_tables_have_the_columns_readers_rely_on(corpus):
    schemas = {name: {f.name: f.type for f in corpus.table(f"{name}.arrow").schema} for name in
               ("vertices", "edges", "rules", "train", "heldout")}  # fmt: skip
    walk = pa.list_(pa.uint16(), corpus.stats["walk_length"])
    assert schemas == {
        "vertices": {"vertex": pa.uint32(), "token_id": pa.int32(), "token": pa.string(), "block": pa.uint16()},
        "edges": {"source": pa.uint32(), "target": pa.uint32(), "weight": pa.float64()},
        "rules": {"vertex": pa.uint32(), "r": pa.uint32(), "target_block": pa.uint16()},
        "train": {"tokens": walk, "row_key": pa.uint64()},
        "heldout": {"tokens": walk, "row_key": pa.uint64()},
    }


def test_splits_have_the_sizes_asked_for_and_share_no_walk(corpus):
    train, heldout = walks_of(corpus, "train"), walks_of(corpus, "heldout")
    assert corpus.content["splits"] == {"train": len(train), "heldout": len(heldout)}
    assert len(np.unique(heldout, axis=0)) == len(heldout)
    assert not np.isin(array_key64(train), array_key64(heldout)).any()
    for split, walks in (("train", train), ("heldout", heldout)):
        assert np.array_equal(corpus.table(f"{split}.arrow")["row_key"].to_numpy(), array_key64(walks))


def test_walks_that_coincide_are_left_out_and_counted(corpora):
    stats = corpora["short"].stats
    assert stats["train_left_out"] > 0 and stats["heldout_left_out"] > 0


def test_vertices_carry_their_tokens(corpora, text_snapshots):
    rows = corpora["text"].table("vertices.arrow").to_pylist()
    tokenizer = load_tokenizer(text_snapshots.tokenizer)
    assert [row["token"] for row in rows] == [tokenizer.id_to_token(row["token_id"]) for row in rows]
    rows = corpora["dcsbm"].table("vertices.arrow").to_pylist()
    assert {row["token_id"] for row in rows} == {-1}


def test_what_is_published_is_what_it_says(corpus):
    corpus.verify(deep=True)
    graph, stats = read_graph(corpus), corpus.stats
    assert (stats["vertices"], stats["edges"]) == (graph.n_vertices, graph.n_edges)
    assert stats["blocks"] == np.bincount(graph.blocks).tolist()
    for rule, facts in zip(open_graph(corpus).rules, stats["rules"], strict=True):
        assert (facts["vertex"], facts["r"], facts["target_block"]) == (rule.vertex, rule.r, rule.target_block)
        assert facts["kept"] == facts["encounters"] > 0 and facts["paths"] >= 3


def test_only_the_training_split_of_the_text_is_seen(corpora, text_snapshots):
    text = corpora["text"]
    graph, names = read_graph(text), text.table("vertices.arrow")["token_id"].to_pylist()
    expected = {}
    for part in text_snapshots.triples:
        for values, offsets in iter_windows(part, "train"):
            for begin, end in pairwise(offsets):
                for pair in zip(values[begin : end - 1].tolist(), values[begin + 1 : end].tolist(), strict=True):
                    expected[pair] = expected.get(pair, 0) + 1
    for source, target, weight in zip(graph.sources, graph.targets, graph.weights, strict=True):
        assert expected[names[source], names[target]] == weight


def test_an_equal_call_is_answered_from_the_store_whatever_the_order_of_the_slices(text_snapshots, store):
    first = make(text_snapshots, store)
    again = make(text_snapshots, store, triples=text_snapshots.triples[::-1] + text_snapshots.triples[:1])
    assert (first.reused, again.reused) == (False, True)
    assert first.id == again.id


def test_a_balanced_corpus_meets_every_rule_as_often_as_asked_for(text_snapshots, store, corpora):
    config = replace(SMALL, rules=replace(SMALL.rules, encounters=0.6))
    balanced = make(text_snapshots, store, config)
    walks = config.train_walks + config.heldout_walks
    met = [rule["encounters"] / walks for rule in balanced.stats["rules"]]
    assert met == pytest.approx([0.6] * len(met), rel=0.15)
    chances = rule_chances(read_graph(balanced), open_graph(balanced).rules)
    assert [rule["chance"] for rule in balanced.stats["rules"]] == pytest.approx(chances, abs=1e-6)
    assert open_graph(balanced).rules == open_graph(corpora["text"]).rules


@pytest.mark.parametrize("workers", [1, 5])
def test_f16_one_two_or_five_workers_make_the_same_corpus(text_snapshots, store, corpora, workers):
    rebuilt = make(text_snapshots, store, replace(SMALL, workers=workers))
    assert not rebuilt.reused
    assert rebuilt.id == corpora["text"].id


@pytest.mark.parametrize("change", [{"seed": 43}, {"walk_length": 65}, {"horizon": 2}, {"jumper_starts": 0.75}])
def test_another_config_is_another_corpus(text_snapshots, store, corpora, change):
    assert make(text_snapshots, store, replace(SMALL, **change)).id != corpora["text"].id


def test_a_corpus_that_breaks_its_checks_is_not_published(text_snapshots, store):
    rules = RulesConfig(r=(4,), jumpers_per_block=1, max_chance=0.7, max_visits=0.3)
    with pytest.raises(DataError) as error:
        make(text_snapshots, store, replace(SMALL, rules=rules, jumper_starts=0.0))
    assert error.value.code == "WALK_CHECKS"
    assert not list(store.root.rglob("*.arrow"))


def test_f17_a_text_without_a_graph_is_refused(text_snapshots, store):
    with pytest.raises(DataError) as error:
        make(text_snapshots, store, replace(SMALL, graph=replace(SMALL.graph, min_count=10**9)))
    assert error.value.code == "WALK_EMPTY_GRAPH"
    assert not list(store.root.rglob("*.arrow"))


LARGE = replace(SMALL, train_walks=60_000)
KILLED = """
import sys, pathlib
from assets_data.lineage import Store
from assets_data.domains.text.walks.corpus import make_walk_corpus
from tests.assets_data.domains.text.walks.conftest import by_name
from tests.assets_data.domains.text.walks.test_corpus import LARGE
text, store = Store(pathlib.Path(sys.argv[1])), Store(pathlib.Path(sys.argv[2]))
make_walk_corpus(store, by_name([text.snapshot(i) for i in sys.argv[4:]]), text.snapshot(sys.argv[3]), LARGE)
"""


def test_f15_killed_while_it_writes_a_second_run_makes_the_same_corpus(text_snapshots, store, tmp_path):
    ids = [text_snapshots.tokenizer.id, *(part.id for part in text_snapshots.triples)]
    process = subprocess.Popen([sys.executable, "-c", KILLED, text_snapshots.store.root, store.root, *ids])
    while process.poll() is None and sum(p.stat().st_size for p in store.root.rglob("train.arrow")) < 1 << 20:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(store.root.rglob("train.arrow")) and not list(store.root.rglob("snapshot.json"))
    healed = make(text_snapshots, store, LARGE)
    undisturbed = make(text_snapshots, Store(tmp_path / "undisturbed"), LARGE)
    assert healed.id == undisturbed.id
    assert len(list(store.root.rglob("train.arrow"))) == 1


@pytest.mark.slow
def test_every_promise_is_kept_in_the_whole_anchor_corpus(text_snapshots, store):
    anchor = make(text_snapshots, store, config.anchor())
    graph, rules = read_graph(anchor), open_graph(anchor).rules
    edges = np.zeros((graph.n_vertices, graph.n_vertices), bool)
    edges[graph.sources, graph.targets] = True
    checks = 0
    for walks in (walks.astype(np.int64) for split in ("train", "heldout") for walks in iter_walks(anchor, split)):
        assert edges[walks[:, :-1], walks[:, 1:]].all()
        for rule in rules:
            row, step = np.nonzero(walks[:, : -rule.r] == rule.vertex)
            assert (graph.blocks[walks[row, step + rule.r]] == rule.target_block).all()
            checks += len(row)
    assert (anchor.stats["edges"], checks) == (13_370, sum(rule["encounters"] for rule in anchor.stats["rules"]))
    assert anchor.stats["train_redraws"] < 0.01 * 200_000
