"""Whether an encoder passes the gate that was registered before it was trained."""

from __future__ import annotations

from typing import Any

from assets_data.documents import read_registration
from assets_data.lineage import Snapshot, StemmaError, Store
from assets_data.lineage.receipts.reader import read_receipt


def judge_encoder(store: Store, manifest: Snapshot, checkpoint: Snapshot) -> tuple[str, list[str]]:
    """``(verdict, reasons)``: pass, fail or undetermined; the last also where its preflight is not in this store, or
    registered other windows than this manifest's.
    """
    from training.gate import judge
    from training.recipes.dna_lm import RECIPE
    from training.stages import load_model

    parents = [parent for path in store.receipts(checkpoint.id) for parent in read_receipt(path).parents]
    found = [parent.id for parent in parents if parent.input == "preflight"]
    if not found:
        return "undetermined", ["no receipt of it names a preflight"]
    try:
        preflight = store.snapshot(f"sha256:{found[-1].removeprefix('sha256:')}")
        registered = read_registration(preflight)["evaluation"]
        model: Any = load_model(RECIPE, checkpoint)
        config = RECIPE.presets["demo"]()
        data = RECIPE.open_data(store, {"manifest": manifest}, config)
        outcome = judge(RECIPE.evaluate(model, data, config, preflight).measurements, registered["thresholds"])
    except StemmaError as error:
        return "undetermined", [str(error)]
    return outcome["verdict"], outcome["reasons"]
