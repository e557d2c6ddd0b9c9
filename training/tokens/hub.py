"""A causal model in the files that the transformers library loads. Needs torch and safetensors, not that library.

The tokenizer's files are not written here: every export that has a tokenizer carries them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.documents import read_facts
from assets_data.lineage import Snapshot, TrainingError
from training.recipe import Loading

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = {
    "self_attn.in_proj_": "attn.c_attn.",
    "self_attn.out_proj.": "attn.c_proj.",
    "linear1.": "mlp.c_fc.",
    "linear2.": "mlp.c_proj.",
    "norm1.": "ln_1.",
    "norm2.": "ln_2.",
}
"""The parts of ``torch.nn.TransformerEncoderLayer`` and what they are called in a block of GPT-2."""
LOADING = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
"""


def write_gpt2(
    checkpoint: Snapshot, folder: Path, *, layers: int, width: int, heads: int, context: int, ff_multiplier: int = 4
) -> Loading:
    """Write a model that GPT-2 (Radford et al. 2019) computes exactly, made of ``torch.nn`` parts.

    Its parameters are named ``wte`` and ``wpe`` (embeddings of tokens and of places), ``h`` (a list of
    ``TransformerEncoderLayer`` with ``norm_first``, ``gelu`` and a causal mask), ``ln_f`` and ``lm_head`` (no bias).
    Raises TrainingError EXPORT_NOT_GPT2 when they are not. GPT-2 keeps a block's matrices transposed.
    """
    from safetensors.torch import load_file

    tensors = {}
    for name, tensor in load_file(checkpoint.file("model.safetensors")).items():
        for ours, theirs in BLOCK.items():
            name = name.replace(ours, theirs)
        name = name if name.startswith("lm_head.") else f"transformer.{name}"
        tensors[name] = tensor.T if ".c_" in name and tensor.dim() == 2 else tensor
    if wrong := set(tensors) ^ _gpt2_names(layers):
        raise TrainingError("EXPORT_NOT_GPT2", "parameters are missing or have no place", found=sorted(wrong))
    architecture = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": layers,
        "n_embd": width,
        "n_head": heads,
        "n_positions": context,
        "n_inner": ff_multiplier * width,
        "activation_function": "gelu",
        "tie_word_embeddings": False,
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0),
    }
    return write_causal_lm(checkpoint, folder, architecture, tensors)


def write_causal_lm(
    checkpoint: Snapshot, folder: Path, architecture: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Loading:
    """Write ``config.json`` and ``model.safetensors`` for ``AutoModelForCausalLM``.

    ``architecture`` is what that architecture's config is told, ``model_type`` and ``architectures`` among it; the
    vocabulary's size and special ids come from the checkpoint. ``tensors`` go by that architecture's own names.
    """
    from safetensors.torch import save_file

    inputs = read_facts(checkpoint)["model_inputs"]
    ids = {f"{name}_token_id": inputs[name] for name in ("pad", "bos", "eos")}
    config = {"vocab_size": inputs["vocab_size"], **ids, "dtype": "float32", **architecture}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, folder / "model.safetensors", metadata={"format": "pt"})
    return Loading("transformers", LOADING)


def _gpt2_names(layers: int) -> set[str]:
    parts = [f"{part}{kind}" for part in BLOCK.values() for kind in ("weight", "bias")]
    blocks = {f"transformer.h.{layer}.{part}" for layer in range(layers) for part in parts}
    rest = ("transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.weight", "transformer.ln_f.bias")
    return {*blocks, *rest, "lm_head.weight"}
