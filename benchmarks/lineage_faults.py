"""200 single faults injected over a finished smoke chain, one at a time: how many are found, and the right node named.

Between them, clean checks of the whole chain: how many raise a false alarm. The chain is copied first.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from assets_data.lineage import Store
from assets_data.lineage.queries.explain import explain
from benchmarks.result import save
from tests.assets_data.lineage.injected import FAULTS, injected


def inject(store: Store, root: str, faults: int, clean: int, seed: int = 0) -> dict[str, object]:
    """Counts of found, rightly named and false alarms."""
    rng, counts, kinds = random.Random(seed), Counter[str](), sorted(FAULTS)
    for number in range(faults):
        kind = kinds[number % len(kinds)]
        with injected(store, root, kind, rng) as broken:
            explanation = explain(store, root)
        counts[f"{kind}: injected"] += 1
        counts[f"{kind}: found"] += explanation.broken is not None
        counts["found"] += explanation.broken is not None
        counts["right node"] += explanation.broken is not None and explanation.broken.id == broken
    alarms = sum(explain(store, root).broken is not None for _ in range(clean))
    return {"faults": faults, **counts, "clean_checks": clean, "false_alarms": alarms}


def main() -> None:
    """Inject over the chain under ``--root`` (a finished `stemma run --preset smoke`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="a STEMMA_ROOT with a finished chain")
    parser.add_argument("--recipe", default="walk_lm")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--clean", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        shutil.copytree(options.root / "store", store.root)
        root = (store.pointer(f"{options.recipe}/gate_report") or {})["snapshot"]
        result = inject(store, root, options.faults, options.clean)
    save("lineage_faults", ["numpy", "pyarrow", "rfc8785"], result, options.recipe)


if __name__ == "__main__":
    main()
