"""Simulated cells: types, donors, batches, and regulators whose activity moves other genes by known, signed weights.

All of it is integer arithmetic on keyed draws, so that no id depends on a mathematical library:

    index[cell, gene] = base[gene] + effect[donor, gene] + library[cell] + sum of activity[cell, r] * weight[r, gene]

in eighths of log2 of the rate; the count is negative binomial (see ``thresholds``). A knock-down sets the activity of
one regulator to its least. The truth (edges, activities) is in the facts of the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from assets_data.domains.cells.cells import CellSource, Chunk, sparse_rows
from assets_data.domains.cells.config import SimulatedConfig
from assets_data.domains.cells.thresholds import draw_counts
from assets_data.lineage import digest_json, mix64, to_dict

MOST = 4
"""The highest activity of a regulator; the least is 0."""
OWN = 4
"""What a step of its activity adds to a regulator's own gene, in eighths of log2."""
MITOCHONDRIAL = 4


def dataset_names(config: SimulatedConfig) -> list[str]:
    """The slices of a simulation."""
    return [f"sim-{place}" for place in range(config.datasets)]


def gene_names(config: SimulatedConfig) -> list[str]:
    """Regulators first, mitochondrial genes last."""
    targets = config.genes - config.regulators - MITOCHONDRIAL
    return [
        *(f"REG{place:03}" for place in range(config.regulators)),
        *(f"GENE{place:05}" for place in range(targets)),
        *(f"MT-{place}" for place in range(MITOCHONDRIAL)),
    ]


def open_simulated(config: SimulatedConfig, dataset: str) -> CellSource:
    """One dataset of the simulated tissue."""
    tissue = Tissue(config)
    digest = digest_json({"simulation": to_dict(config), "dataset": dataset, "version": 1})
    return CellSource(
        genes=gene_names(config),
        digest=digest,
        chunks=lambda size: tissue.chunks(dataset, size),
        facts={"origin": "simulated", "licence": "CC0-1.0", "truth": tissue.truth()},
    )


class Tissue:
    """What all cells of a simulation share. Draws are keyed by (seed, what is drawn, its number)."""

    def __init__(self, config: SimulatedConfig) -> None:
        self.config = config
        genes, regulators = config.genes, config.regulators
        each = self._draw("base", genes, 17), self._draw("base/2", genes, 17), self._draw("base/3", genes, 17)
        self.base_G = sum(each) - 32
        self.activity_KR = self._draw("activity", config.types * regulators, MOST + 1).reshape(config.types, regulators)
        self.effect_DG = self._draw("effect", config.donors * genes, 9).reshape(config.donors, genes) - 4
        self.weight_RG = self._weights()
        slots = [kind for kind in range(config.types) for _ in range(config.types + 1 - kind)]
        self.type_slots = np.array(slots)  # type 0 is the most frequent, and the last is rare

    def truth(self) -> dict[str, Any]:
        """Edges as [regulator, target, weight] by name, and each type's activities: what a network is judged by."""
        names = gene_names(self.config)
        regulators, targets = np.nonzero(self.weight_RG * (np.arange(self.config.genes) >= self.config.regulators))
        edges = [
            [names[r], names[g], int(self.weight_RG[r, g])]
            for r, g in zip(regulators.tolist(), targets.tolist(), strict=True)
        ]
        activity = {f"T{kind}": row for kind, row in enumerate(self.activity_KR.tolist())}
        return {"regulators": names[: self.config.regulators], "edges": edges, "activity": activity, "most": MOST}

    def chunks(self, dataset: str, size: int) -> Iterator[Chunk]:
        """The cells of a dataset, ``size`` at a time."""
        for begin in range(0, self.config.cells, size):
            yield self._chunk(dataset, np.arange(begin, min(begin + size, self.config.cells), dtype=np.uint64))

    def _chunk(self, dataset: str, cells: np.ndarray) -> Chunk:
        config = self.config
        donor = (cells % np.uint64(config.donors)).astype(np.int64)
        kind = self.type_slots[self._of(dataset, "type", cells, len(self.type_slots))]
        library = self._of(dataset, "library", cells, 17) - 8
        activity_CR = self.activity_KR[kind] + self._noise(dataset, cells)
        knocked = self._of(dataset, "knock", cells, 1 << 20) < int(config.knockdown_share * (1 << 20))
        regulator = self._of(dataset, "knocked", cells, config.regulators)
        activity_CR = np.clip(activity_CR, 0, MOST)
        activity_CR[knocked, regulator[knocked]] = 0
        index_CG = self.base_G + self.effect_DG[donor] + library[:, None] + activity_CR @ self.weight_RG
        places = cells[:, None] * np.uint64(config.genes) + np.arange(config.genes, dtype=np.uint64)
        counts_CG = draw_counts(index_CG, mix64(config.seed, f"cells/count/{dataset}", places))
        indptr, indices, counts = sparse_rows(counts_CG)
        names = gene_names(config)
        about = {
            "cell": [f"{dataset}-{cell:07}" for cell in cells.tolist()],
            "donor": [f"D{number}" for number in donor.tolist()],
            "batch": [f"B{number % config.batches}" for number in donor.tolist()],
            "label": [f"T{number}" for number in kind.tolist()],
            "perturbation": [names[r] if k else "" for k, r in zip(knocked, regulator, strict=True)],
        }
        return Chunk(about=about, indptr=indptr, indices=indices, counts=counts, totals=counts_CG.sum(1))

    def _weights(self) -> np.ndarray:
        """int64[regulators, genes]: 0 where there is no edge, else 2 to 4 with a sign, three in five positive."""
        config, pairs = self.config, self.config.regulators * self.config.genes
        edge = self._draw("edge", pairs, 1 << 20) < int(config.edge_share * (1 << 20))
        size = 2 + self._draw("weight", pairs, 3)
        sign = np.where(self._draw("sign", pairs, 5) < 3, 1, -1)
        weights = (edge * size * sign).reshape(config.regulators, config.genes)
        weights[:, : config.regulators] = OWN * np.eye(config.regulators, dtype=np.int64)
        weights[:, config.genes - MITOCHONDRIAL :] = 0
        return weights

    def _noise(self, dataset: str, cells: np.ndarray) -> np.ndarray:
        regulators = self.config.regulators
        places = cells[:, None] * np.uint64(regulators) + np.arange(regulators, dtype=np.uint64)
        return np.array([-1, 0, 0, 1])[self._of(dataset, "noise", places, 4)]

    def _draw(self, what: str, number: int, below: int) -> np.ndarray:
        bits = mix64(self.config.seed, f"cells/{what}", np.arange(number, dtype=np.uint64))
        return (bits % np.uint64(below)).astype(np.int64)

    def _of(self, dataset: str, what: str, places: np.ndarray, below: int) -> np.ndarray:
        bits = mix64(self.config.seed, f"cells/{dataset}/{what}", places)
        return (bits % np.uint64(below)).astype(np.int64)
