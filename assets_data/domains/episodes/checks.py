"""Promises about published episodes that no schema of one table can say."""

from __future__ import annotations

import numpy as np

from assets_data.documents import read_manifest
from assets_data.domains.episodes.collect import collect_one, open_simulator
from assets_data.domains.episodes.config import SourceConfig
from assets_data.domains.episodes.read import SPLITS
from assets_data.domains.episodes.record import record_id
from assets_data.lineage import Snapshot, Store, from_dict, mix64
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.stage import Outcome

AGAIN = 3


def check_recollects(store: Store, raw_slice: Snapshot) -> Outcome:
    """Three episodes of a collected slice, chosen by their keys, played again in another order, are the same records.

    Slices of files, and those whose source's settings no receipt says, have nothing to play again.
    """
    table = raw_slice.table("episodes.arrow")
    if raw_slice.read_json("space.json")["policy"] is None or not table.num_rows:
        return Outcome(passed=True, facts={"played_again": 0})
    receipts = [read_receipt(path) for path in store.receipts(raw_slice.id)]
    config = next((from_dict(SourceConfig, receipt.config) for receipt in receipts if receipt.config), None)
    if config is None or config.source != "collect":
        return Outcome(passed=True, facts={"played_again": 0})
    chosen = np.argsort(mix64(0, "recollects", table["row_key"].to_numpy()))[:AGAIN][::-1]
    simulator = open_simulator(config)
    try:
        rows = table.take(chosen).to_pylist()
        found = [(row, record_id(collect_one(simulator, config, row["seed"]))) for row in rows]
    finally:
        simulator.close()
    failures = [{"seed": row["seed"], "expected": row["record_id"], "found": id_} for row, id_ in found]
    failures = [failure for failure in failures if failure["expected"] != failure["found"]]
    return Outcome(passed=not failures, facts={"played_again": len(rows)}, failures=failures)


def check_splits(store: Store, manifest: Snapshot) -> Outcome:
    """No episode is in two splits of the sequences that a manifest names."""
    sequences = store.snapshot(read_manifest(manifest)["members"]["sequences"])
    found = split_overlaps(sequences)
    return Outcome(passed=not found, facts={"in_two_splits": len(found)}, failures=found)


def split_overlaps(sequences: Snapshot) -> list[dict[str, object]]:
    """Episodes with sequences in more than one split."""
    seen: dict[str, set[str]] = {}
    for split in SPLITS:
        for record in set(sequences.table(f"{split}.arrow")["record_id"].to_pylist()):
            seen.setdefault(record, set()).add(split)
    return [{"record_id": record, "splits": sorted(found)} for record, found in seen.items() if len(found) > 1]
