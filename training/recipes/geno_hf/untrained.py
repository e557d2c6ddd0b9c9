"""A small Llama of drawn weights as a Hugging Face directory of two shards: to try the path, and to test it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from assets_data.domains.genome.read import BASES
from assets_data.lineage import uniform01
from training.recipes.geno_hf.directory import INDEX
from training.recipes.geno_hf.tokens import BEGIN, K

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 4**K + 3,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}


def write_untrained(folder: Path, seed: int = 0) -> Path:
    """Write and return ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["<pad>", BEGIN, "</dna>", *map("".join, itertools.product(BASES[:4], repeat=K))]
    tokenizer = {"model": {"type": "WordLevel", "vocab": {word: place for place, word in enumerate(words)}}}
    tensors = {name: (_drawn(seed, name, shape) - 0.5) / shape[-1] ** 0.5 for name, shape in _shapes()}
    tensors |= {name: 1 + value for name, value in tensors.items() if "norm" in name}
    shards = {"model-00001-of-00002.safetensors": "layers.0", "model-00002-of-00002.safetensors": ""}
    listed: dict[str, str] = {}
    for shard, inside in shards.items():
        own = {name: value for name, value in tensors.items() if name not in listed and inside in name}
        save_file(own, folder / shard, metadata={"format": "pt"})
        listed |= dict.fromkeys(own, shard)
    documents = {"config.json": CONFIG, "tokenizer.json": tokenizer, INDEX: {"metadata": {}, "weight_map": listed}}
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    return folder


def _drawn(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 in [0, 1)."""
    places = np.arange(np.prod(shape), dtype=np.uint64)
    return uniform01(seed, f"untrained/{name}", places).reshape(shape).astype(np.float32)


def _shapes() -> list[tuple[str, tuple[int, ...]]]:
    width, wide, shared = 24, 40, 12
    found: list[tuple[str, tuple[int, ...]]] = [("model.embed_tokens.weight", (4**K + 3, width))]
    for layer in range(2):
        at = f"model.layers.{layer}."
        found += [(f"{at}self_attn.{name}_proj.weight", (width, width)) for name in "qo"]
        found += [(f"{at}self_attn.{name}_proj.weight", (shared, width)) for name in "kv"]
        found += [(f"{at}mlp.{name}_proj.weight", (wide, width)) for name in ("gate", "up")]
        found += [(f"{at}mlp.down_proj.weight", (width, wide))]
        found += [(f"{at}{name}_layernorm.weight", (width,)) for name in ("input", "post_attention")]
    return [*found, ("model.norm.weight", (width,))]
