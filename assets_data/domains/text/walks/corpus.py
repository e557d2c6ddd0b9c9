"""The ``text/walk_corpus`` stage: graph, rules and walks to one snapshot, written as they are made.

Promises: the order of the triples does not matter; no held-out walk is a training walk; nothing is published that
breaks the corpus checks; memory does not grow with the number of training walks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.text.tokenizer import load_tokenizer
from assets_data.domains.text.triples import iter_windows
from assets_data.domains.text.walks.balance import balance
from assets_data.domains.text.walks.census import Census
from assets_data.domains.text.walks.config import DcsbmGraph, WalkConfig
from assets_data.domains.text.walks.dcsbm import sample_dcsbm
from assets_data.domains.text.walks.generate import WalkSampler
from assets_data.domains.text.walks.graph import Graph
from assets_data.domains.text.walks.rules import Planting, Rule, plant_rules, rule_chances
from assets_data.domains.text.walks.splits import HeldoutKeys, Rows, draw_split
from assets_data.domains.text.walks.transitions import Windows, count_bigrams, transition_graph
from assets_data.lineage import Snapshot, SnapshotWriter, Store


def make_walk_corpus(
    store: Store, triples: Mapping[str, Snapshot], tokenizer: Snapshot, config: WalkConfig
) -> Snapshot:
    """Publish (or find) the walk corpus of a config over the training split of the triples (by slice name).

    Holds ``vertices.arrow``, ``edges.arrow``, ``rules.arrow``, ``train.arrow`` and ``heldout.arrow``. Raises DataError
    with a WALK_ code when the text gives no usable graph, no rules, or a corpus that breaks its checks.
    """
    slices = sorted({snapshot.id: snapshot for snapshot in triples.values()}.values(), key=lambda snapshot: snapshot.id)
    if isinstance(config.graph, DcsbmGraph):
        slices = []  # this graph is drawn, not read: its corpus depends on no slice
    return store.run_stage(
        name="text/walk_corpus",
        module=__name__,
        config=config,
        parents={"triples": slices, "tokenizer": [tokenizer]},
        seeds={"walks": config.seed},
        build=lambda writer: _build(writer, slices, tokenizer, config),
    )


def read_graph(corpus: Snapshot) -> Graph:
    """The graph of a published corpus."""
    vertices, edges = corpus.table("vertices.arrow"), corpus.table("edges.arrow")
    counts = np.bincount(edges["source"].to_numpy(), minlength=len(vertices))
    return Graph(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        targets=edges["target"].to_numpy().astype(np.int32),
        weights=edges["weight"].to_numpy().astype(np.int64),
        blocks=vertices["block"].to_numpy(),
        token_ids=vertices["token_id"].to_numpy(),
    )


def _build(writer: SnapshotWriter, slices: Sequence[Snapshot], tokenizer: Snapshot, config: WalkConfig) -> None:
    graph, facts = _make_graph(slices, config)
    planting = plant_rules(graph, config.rules, config.walk_length, config.seed)
    if (encounters := config.rules.encounters) is not None:
        graph = balance(graph, planting.rules, encounters, lambda g: _make_sampler(g, planting.rules, config))
        planting = replace(planting, chances=rule_chances(graph, planting.rules))
    tokens = _token_names(graph, tokenizer)
    _write_tables(writer, graph, planting.rules, tokens)
    sampler = _make_sampler(graph, planting.rules, config)
    census = Census(graph, planting.rules)
    began, heldout = perf_counter(), HeldoutKeys()
    for split, count, keep in (
        ("heldout", config.heldout_walks, heldout.admit),
        ("train", config.train_walks, heldout.spare),
    ):
        batches = draw_split(sampler, split, count, config.workers, keep)
        _write_split(writer, split, batches, pa.list_(pa.from_numpy_dtype(sampler.dtype), sampler.length), census)
    census.require()
    steps = census.walks * config.walk_length
    writer.stats |= {
        **facts,
        "vertices": graph.n_vertices,
        "edges": graph.n_edges,
        "blocks": np.bincount(graph.blocks).tolist(),
        "rules": _rule_facts(planting, census, tokens),
        "rules_dropped": planting.dropped,
        "walk_length": config.walk_length,
        "steps": steps,
        "steps_per_s": round(steps / (perf_counter() - began)),
        "jumper_fraction": round(census.jumper_fraction, 6),
    }


def _make_graph(slices: Sequence[Snapshot], config: WalkConfig) -> tuple[Graph, dict[str, int]]:
    if isinstance(config.graph, DcsbmGraph):
        graph, attempt = sample_dcsbm(config.graph, config.seed)
        return graph, {"attempt": attempt}
    bigrams = count_bigrams(lambda: _training_windows(slices), config.graph.vocab_size)
    graph, dropped = transition_graph(bigrams, config.graph, config.seed)
    return graph, asdict(dropped)


def _make_sampler(graph: Graph, rules: Sequence[Rule], config: WalkConfig) -> WalkSampler:
    return WalkSampler(
        graph,
        rules,
        length=config.walk_length,
        horizon=config.horizon,
        jumper_starts=config.jumper_starts,
        seed=config.seed,
    )


def _training_windows(slices: Sequence[Snapshot]) -> Windows:
    return chain.from_iterable(iter_windows(snapshot, "train") for snapshot in slices)


def _token_names(graph: Graph, tokenizer: Snapshot) -> list[str]:
    """The token of each vertex as its vocabulary spells it; the vertex number where there is no token."""
    vocabulary = load_tokenizer(tokenizer)
    tokens = enumerate(graph.token_ids.tolist())
    return [vocabulary.id_to_token(token) or "" if token >= 0 else str(vertex) for vertex, token in tokens]


def _write_tables(writer: SnapshotWriter, graph: Graph, rules: Sequence[Rule], tokens: list[str]) -> None:
    number = np.arange(graph.n_vertices, dtype=np.uint32)
    columns = {"vertex": number, "token_id": graph.token_ids, "token": tokens, "block": graph.blocks}
    writer.write_table("vertices.arrow", pa.table(columns))
    columns = {"source": graph.sources.astype(np.uint32), "target": graph.targets.astype(np.uint32)}
    writer.write_table("edges.arrow", pa.table({**columns, "weight": graph.weights.astype(np.float64)}))
    schema = pa.schema([("vertex", pa.uint32()), ("r", pa.uint32()), ("target_block", pa.uint16())])
    writer.write_table("rules.arrow", pa.Table.from_pylist([asdict(rule) for rule in rules], schema=schema))


def _write_split(
    writer: SnapshotWriter, split: str, batches: Iterator[Rows], walk: pa.FixedSizeListType, census: Census
) -> None:
    """Write and count the walks of one split, batch by batch."""
    schema = pa.schema([("tokens", walk), ("row_key", pa.uint64())])
    facts = Counter(rows=0, redraws=0, left_out=0)
    with pa.ipc.new_file(str(writer.part(f"{split}.arrow")), schema) as sink:
        for rows in batches:
            facts.update(rows=len(rows.walks), redraws=rows.redraws, left_out=rows.left_out)
            if len(rows.walks):
                tokens = pa.FixedSizeListArray.from_arrays(pa.array(rows.walks.reshape(-1)), type=walk)
                sink.write_batch(pa.record_batch([tokens, pa.array(rows.keys)], schema=schema))
                census.add(rows.walks)
    writer.splits[split] = facts["rows"]
    writer.stats |= {f"{split}_redraws": facts["redraws"], f"{split}_left_out": facts["left_out"]}


def _rule_facts(planting: Planting, census: Census, tokens: list[str]) -> list[dict[str, Any]]:
    """One line per rule for people: what it says, its chance, how often and in how many ways the corpus keeps it."""
    columns = zip(planting.rules, planting.chances, census.tallies(), strict=True)
    return [
        {**asdict(rule), "token": tokens[rule.vertex], "chance": round(chance, 6), **asdict(tally)}
        for rule, chance, tally in columns
    ]
