"""``stemma generate``: let a published checkpoint write, from the store alone, and say which one it is and its verdict.

Owns the way from text to ids and back. The recipe writes, see ``generate`` in :mod:`training.recipe`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assets_data.documents import read_facts, read_result
from assets_data.lineage import ConfigError, Snapshot, Store
from assets_data.lineage.identity.digests import load_json
from pipeline_defs.answers.answer import plain


@dataclass(frozen=True, slots=True)
class Coder:
    """Text to ids without specials, and back."""

    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]


def add_parsers(commands: Any) -> None:
    """Add the command to the subparsers of ``stemma``."""
    parser = commands.add_parser("generate", help="let a checkpoint answer a prompt")
    parser.add_argument("--checkpoint", required=True, help="an id (or its first characters), a name or a path")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0, help="0, the default, is greedy")
    parser.add_argument(
        "--greedy", action="store_const", const=0.0, dest="temperature", help="the same as temperature 0"
    )
    parser.add_argument("--top-p", type=float, default=1.0, help="sample from the likeliest tokens of this probability")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same answer")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_generate)


def generate(store: Store, checkpoint: Snapshot, prompt: str, sampling: Any) -> dict[str, Any]:
    """``checkpoint``, ``recipe``, ``verdicts``, ``prompt``, ``answer``, ``sampling`` and the recipe's ``remarks``.

    Every file is verified first. Raises ConfigError GENERATE_NO_CHECKPOINT for another kind of node and
    GENERATE_UNSUPPORTED for a recipe that does not write.
    """
    from pipeline_defs.answers.champion.standing import is_promotion, read_promotion
    from training.recipe import find_recipe
    from training.stages import load_model

    if is_promotion(checkpoint.kind):
        checkpoint = store.snapshot(read_promotion(store, checkpoint.id).checkpoint)
    if not checkpoint.kind.endswith("/checkpoint"):
        raise ConfigError(
            "GENERATE_NO_CHECKPOINT", "this node holds no weights", expected="*/checkpoint", found=checkpoint.kind
        )
    checkpoint.verify()
    facts = read_facts(checkpoint)
    recipe = find_recipe(facts["recipe"])
    write = recipe.generate
    if write is None:
        raise ConfigError(
            "GENERATE_UNSUPPORTED", "the recipe of this checkpoint does not write text", found=recipe.name
        )
    inputs = facts["model_inputs"]
    coder = read_coder(store, inputs["tokenizer"])
    model, prompt_ids = load_model(recipe, checkpoint), coder.encode(prompt)
    ids = write(model, inputs, prompt_ids, sampling)
    return {
        "checkpoint": checkpoint.id,
        "recipe": recipe.name,
        "verdicts": verdicts(store, recipe.name, checkpoint.id),
        "prompt": prompt,
        "answer": coder.decode(ids),
        "sampling": asdict(sampling),
        "remarks": recipe.remarks(model, inputs, prompt_ids) if recipe.remarks else {},
    }


def read_coder(store: Store, tokenizer: str) -> Coder:
    """The coder of a tokenizer's snapshot, verified, or that of plain bytes."""
    from training.generation import BYTES, decode_bytes, encode_bytes

    if tokenizer == BYTES:
        return Coder(encode_bytes, decode_bytes)
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(store.snapshot(tokenizer).file("tokenizer.json")))
    loaded.encode_special_tokens = True  # specials spelled out in a prompt are text
    return Coder(lambda text: loaded.encode(text, add_special_tokens=False).ids, lambda ids: loaded.decode(list(ids)))


def verdicts(store: Store, recipe: str, checkpoint_id: str) -> list[str]:
    """What every gate report in the store says of this checkpoint: pass, fail or undetermined; none if not judged."""
    found: set[str] = set()
    for record in sorted((store.root / "stages").glob("*.json")):
        entry = load_json(record.read_bytes(), record)
        if entry["stage"] == f"{recipe}/gate_report" and store.snapshot_path(entry["snapshot"]).is_dir():
            result = read_result(store.snapshot(entry["snapshot"]))
            if result["metadata"]["checkpoint"] == checkpoint_id:
                found.add(result["gate"]["verdict"])
    return sorted(found)


def _generate(options: argparse.Namespace) -> int:
    from pipeline_defs.answers.nodes import default_store, find_node
    from training.generation import Sampling

    sampling = Sampling(
        max_new_tokens=options.max_new_tokens, temperature=options.temperature, top_p=options.top_p, seed=options.seed
    )
    told = generate(default_store(), find_node(options.checkpoint), options.prompt, sampling)
    if options.json:
        print(json.dumps(told, indent=2))
        return 0
    print(f"checkpoint  {told['checkpoint']}")
    print(f"gate        {', '.join(told['verdicts']) or 'never judged'}")
    for name, value in told["remarks"].items():
        print(f"{name:<12}{value}")
    print()
    print("\n".join(plain(line) for line in told["answer"].split("\n")))
    return 0
