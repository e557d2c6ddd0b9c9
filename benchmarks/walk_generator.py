"""Exact walks against path pasting, the published way, on the anchor graph: speed, and how far each keeps the rules.

Pasting, as the walk-transformer plans describe it: half the walks start on a jumper; a walk that meets one follows a
random path out of a pool of r-step paths that end in the target, and jumpers on that path are ignored. Written here in
vectorised NumPy, all walks abreast. Rates are steps per second on one core, the median of five rounds taken in turn.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domains.text.config import smoke as text
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.walks.census import Census
from assets_data.domains.text.walks.config import WalkConfig, anchor
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.domains.text.walks.dcsbm import sample_dcsbm
from assets_data.domains.text.walks.generate import WalkSampler
from assets_data.domains.text.walks.graph import Graph
from assets_data.domains.text.walks.rules import Rule, plant_rules
from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.config import smoke as source
from assets_data.sources.sources import slice_names
from benchmarks.result import save
from benchmarks.text_chain import make_trained_tokenizer

WALKS, ROUNDS, POOL = 20_000, 5, 256
FIRST_DRAW = """
import time
from benchmarks.walk_generator import exact_sampler
sampler, began = exact_sampler(), time.perf_counter()
sampler.draw("train", 0, 1)
print(time.perf_counter() - began)
"""


class PastingSampler:
    """Walks by pasting, uint16[count, length]; path pools are drawn once, by rejection."""

    def __init__(self, graph: Graph, rules: Sequence[Rule], length: int, seed: int) -> None:
        self.graph, self.rules, self.length = graph, rules, length
        self.rng = np.random.default_rng(seed)
        self.rule_of = np.full(graph.n_vertices, -1)
        self.rule_of[[rule.vertex for rule in rules]] = np.arange(len(rules))
        self.r = np.array([rule.r for rule in rules])
        self.pools = np.zeros((len(rules), POOL, self.r.max() + 1), np.int64)
        for place, rule in enumerate(rules):
            self.pools[place, :, : rule.r + 1] = self._paths(rule)

    def draw(self, count: int) -> np.ndarray:
        """``count`` walks."""
        walks = np.empty((count, self.length), np.uint16)
        here = self.rng.integers(self.graph.n_vertices, size=count)
        here[::2] = np.resize([rule.vertex for rule in self.rules], len(here[::2]))
        rule, path, done = np.full(count, -1), np.zeros(count, np.int64), np.zeros(count, np.int64)
        for step in range(self.length):
            walks[:, step] = here
            meets = (rule < 0) & (self.rule_of[here] >= 0)
            rule[meets], done[meets] = self.rule_of[here[meets]], 0
            path[meets] = self.rng.integers(POOL, size=int(meets.sum()))
            done += 1
            here = np.where(rule < 0, self._free(here), self.pools[rule, path, np.minimum(done, self.r[rule])])
            rule[done == self.r[rule]] = -1
        return walks

    def _free(self, here: np.ndarray) -> np.ndarray:
        degrees = self.graph.degrees[here]
        edges = self.graph.offsets[here] + (self.rng.random(len(here)) * degrees).astype(np.int64)
        return self.graph.targets[edges].astype(np.int64)

    def _paths(self, rule: Rule) -> np.ndarray:
        found = np.zeros((0, rule.r + 1), np.int64)
        while len(found) < POOL:
            steps = [np.full(4 * POOL, rule.vertex)]
            for _ in range(rule.r):
                steps.append(self._free(steps[-1]))
            paths = np.stack(steps, axis=1)
            found = np.concatenate([found, paths[self.graph.blocks[paths[:, -1]] == rule.target_block]])
        return found[:POOL]


def anchor_parts() -> tuple[WalkConfig, Graph, tuple[Rule, ...]]:
    """The anchor's config, graph and rules."""
    config = anchor()
    graph, _ = sample_dcsbm(config.graph, config.seed)  # type: ignore[arg-type]
    return config, graph, plant_rules(graph, config.rules, config.walk_length, config.seed).rules


def exact_sampler() -> WalkSampler:
    """Stemma's generator on the anchor."""
    config, graph, rules = anchor_parts()
    options = {name: getattr(config, name) for name in ("horizon", "jumper_starts", "seed")}
    return WalkSampler(graph, rules, length=config.walk_length, **options)


def compile_seconds() -> dict[str, float]:
    """The first draw of a new process: with an empty compile cache, then with the one that left behind."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        runs = [
            subprocess.run(
                [sys.executable, "-c", FIRST_DRAW], cwd=ROOT, env=environment, capture_output=True, check=True
            )
            for _ in range(2)
        ]
    return {name: round(float(run.stdout), 2) for name, run in zip(("cold", "warm"), runs, strict=True)}


def corpus_seconds(workers: int) -> dict[str, float]:
    """The whole anchor corpus through the stage: drawing, keys, checks, files, digests, receipt."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        raw = make_raw_slice(store, slice_names(source())[0], source())
        tokenizer = make_trained_tokenizer(store, raw, text())
        began = time.perf_counter()
        corpus = make_walk_corpus(store, {}, tokenizer, replace(anchor(), workers=workers))
        seconds = time.perf_counter() - began
        redraws = corpus.stats["train_redraws"] + corpus.stats["heldout_redraws"]
        walks = sum(corpus.content["splits"].values())
        return {"walks": walks, "seconds": round(seconds, 2), "redraws_per_walk": round(redraws / walks, 6)}


def rule_compliance(graph: Graph, rules: Sequence[Rule], walks: np.ndarray) -> float:
    """Share of rule encounters kept, nested ones counted."""
    census = Census(graph, rules)
    census.add(walks)
    tallies = census.tallies()
    return round(sum(tally.kept for tally in tallies) / sum(tally.encounters for tally in tallies), 4)


def main() -> None:
    """Measure and save."""
    config, graph, rules = anchor_parts()
    exact, pasting = exact_sampler(), PastingSampler(graph, rules, config.walk_length, config.seed)
    compliance = {
        "exact": rule_compliance(graph, rules, exact.draw("train", 0, WALKS).walks),
        "pasting": rule_compliance(graph, rules, pasting.draw(WALKS)),
    }
    seconds: dict[str, list[float]] = {"exact": [], "pasting": []}
    for _ in range(ROUNDS):
        for name, draw in (("exact", lambda: exact.draw("train", 0, WALKS)), ("pasting", lambda: pasting.draw(WALKS))):
            began = time.process_time()
            draw()
            seconds[name].append(time.process_time() - began)
    rates = {name: round(WALKS * config.walk_length / statistics.median(times)) for name, times in seconds.items()}
    figures: dict[str, Any] = {
        "graph": {
            "vertices": graph.n_vertices,
            "edges": graph.n_edges,
            "rules": len(rules),
            "length": config.walk_length,
        },
        "steps_per_s_one_core": rates,
        "exact_over_pasting": round(rates["exact"] / rates["pasting"], 2),
        "rule_compliance": compliance,
        "first_draw_s": compile_seconds(),
        "corpus": {f"{workers}_workers": corpus_seconds(workers) for workers in (1, 2)},
    }
    save("walk_generator", ["numba", "numpy", "pyarrow"], figures)


if __name__ == "__main__":
    main()
