"""The tokenizer beside an exported model, in the files that the tokenizers and transformers libraries load.

What they encode begins with ``<bos>``, as every row the model was trained on did; special tokens that are spelled out
in a text are text, as they were in training. Otherwise it is the tokenizer of the lineage.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.documents import read_facts
from assets_data.lineage import Snapshot
from assets_data.lineage.queries.tree import Node
from pipeline_defs.answers.answer import pretty

TOKENIZER = "tokenizer.json"
SPECIALS = ("pad", "bos", "eos")


def write_tokenizer(tree: Mapping[str, Node], checkpoint: Snapshot, folder: Path) -> bool:
    """Write the files of the tokenizer that the checkpoint's model inputs name. False where they name none.

    Made-up text and graphs have ids that no tokenizer gives.
    """
    inputs = _model_inputs(checkpoint)
    node = tree.get(str(inputs.get("tokenizer")))
    if node is None or node.snapshot is None or TOKENIZER not in node.snapshot.files:
        return False
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    node.snapshot.check_file(TOKENIZER)
    tokenizer = Tokenizer.from_file(str(node.snapshot.file(TOKENIZER)))
    names = {special: tokenizer.id_to_token(inputs[special]) for special in SPECIALS}
    begin = [(names["bos"], inputs["bos"])]
    tokenizer.post_processor = TemplateProcessing(single=f"{names['bos']} $A", special_tokens=begin)  # type: ignore[assignment]
    tokenizer.save(str(folder / TOKENIZER))
    tokens = {f"{special}_token": name for special, name in names.items()}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "split_special_tokens": True, **tokens}
    settings["clean_up_tokenization_spaces"] = False
    (folder / "tokenizer_config.json").write_bytes(pretty(settings))
    (folder / "special_tokens_map.json").write_bytes(pretty(tokens))
    return True


def _model_inputs(checkpoint: Snapshot) -> Mapping[str, Any]:
    facts = read_facts(checkpoint) if "training.json" in checkpoint.files else {}
    return facts.get("model_inputs", {})
