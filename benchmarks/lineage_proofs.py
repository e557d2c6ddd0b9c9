"""Proofs over 100 million simulated records: bytes, milliseconds to check, and 100,000 forgeries."""

from __future__ import annotations

import argparse
import time

import numpy as np

from assets_data.lineage import IntegrityError
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.queries.proof import check_proof, make_proof
from benchmarks.result import save


def forgeries_accepted(root: bytes, count: int, record: bytes, proof: bytes, tries: int) -> int:
    """How many of ``tries`` proofs with one byte changed still show something."""
    rng, accepted = np.random.default_rng(4), 0
    for place, change in zip(rng.integers(0, len(proof), tries), rng.integers(1, 256, tries), strict=True):
        forged = bytearray(proof)
        forged[place] ^= change
        try:
            check_proof(root, count, record, bytes(forged))
            accepted += 1
        except IntegrityError:
            pass
    return accepted


def main() -> None:
    """One present record, one absent at the worst place (in the middle), forged half and half."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000_000)
    parser.add_argument("--forgeries", type=int, default=100_000)
    options = parser.parse_args()
    drawn = np.random.default_rng(0).integers(0, 256, (options.records, 32), np.uint8)
    ordered = sorted_records(drawn)
    middle = 1 << ((len(ordered) - 1).bit_length() - 1)
    below = (int.from_bytes(ordered[middle].tobytes(), "big") - 1).to_bytes(32, "big")
    result: dict[str, object] = {"records": len(ordered)}
    for name, record in (("present", ordered[middle].tobytes()), ("absent", below)):
        began = time.perf_counter()
        root, proof = make_proof(ordered.copy(), record)
        result[f"{name}_make_s"] = round(time.perf_counter() - began, 1)
        times = []
        for _ in range(200):
            began = time.perf_counter()
            verdict = check_proof(root, len(ordered), record, proof)
            times.append((time.perf_counter() - began) * 1e3)
        result |= {f"{name}_verdict": verdict, f"{name}_bytes": len(proof)}
        result[f"{name}_check_p99_ms"] = round(float(np.percentile(times, 99)), 3)
        wrong = forgeries_accepted(root, len(ordered), record, proof, options.forgeries // 2)
        result[f"{name}_forgeries_accepted"] = wrong
    save("lineage_proofs", ["numpy"], {**result, "forgeries": options.forgeries})


if __name__ == "__main__":
    main()
