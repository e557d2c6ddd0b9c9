"""A published model of cells as a folder that says what its rows of the embedding mean."""

from __future__ import annotations

import json
from pathlib import Path

from assets_data.documents import read_facts
from assets_data.lineage import Snapshot
from training.recipe import Loading

CODE = """\
import json
from pathlib import Path

from safetensors.torch import load_file

from assets_data.lineage import from_recorded
from training.recipe import find_recipe

recipe = find_recipe("cell_mlm")
own = Path("checkpoint")
config = from_recorded(recipe.config_type, json.loads((own / "config.json").read_text()))
model = recipe.build_model(config, json.loads((own / "training.json").read_text())["model_inputs"])
model.load_state_dict(load_file(own / "model.safetensors"))
model.eval()
genes = json.loads(Path("genes.json").read_text())["genes"]  # row i of the embedding is genes[i]["name"]
"""


def export(checkpoint: Snapshot, folder: Path) -> Loading:
    """Write ``genes.json`` and say how the model is loaded."""
    inputs = read_facts(checkpoint)["model_inputs"]
    genes = [{"name": n, "median": m} for n, m in zip(inputs["genes"], inputs["medians"], strict=True)]
    tokens = checkpoint.read_json("config.json")["tokens"]
    document = {"genes": genes, "vocabulary": inputs["vocabulary"], "tokens": tokens}
    (folder / "genes.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return Loading("stemma", CODE)
