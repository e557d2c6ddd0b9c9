"""The encoder stage: a directory's weights, config and tokenizer as one snapshot; and that snapshot as an encoder.

Its id covers every tensor of all shards, whatever their number, the config and the tokenizer. The state table, the
predictor and whoever scores read the snapshot, so a directory that changes afterwards changes nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from assets_data.documents import read_layout
from assets_data.domains.genome.read import Layout, open_members
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store
from assets_data.lineage.storage.sealing import Outside
from assets_data.stage import NOTHING, ROWS, Check, One, Stage
from training.recipes.geno_hf.config import DIRECTORIES, STATES, DirectoryConfig
from training.recipes.geno_hf.directory import Directory, open_directory
from training.recipes.geno_hf.tokens import K, kmer_ids, token_of, tokenize
from training.recipes.geno_lewm.config import StatesConfig
from training.recipes.geno_lewm.state_table import make_states

if TYPE_CHECKING:
    import torch

    from training.recipes.geno_lewm.encoder import Encoder

HERE = "training.recipes.geno_hf.encoder"
ENCODER = Stage(
    kind="geno_hf/encoder",
    make=f"{HERE}:make_encoder",
    says="A frozen encoder from a local Hugging Face directory: tensors of all shards, config, tokenizer.",
    inputs={"manifest": One("genome/dataset_manifest")},
    presets=DIRECTORIES,
    learns=NOTHING,
    unchecked="it holds no table",
    modules=(HERE, "training.recipes.geno_hf.llama"),
    tags=("pytorch",),
)
STATE_TABLE = Stage(
    kind="geno_hf/state_table",
    make=f"{HERE}:make_state_table",
    says="The encoder's state of every window of every trajectory, with the records that the row comes from.",
    inputs={"manifest": One("genome/dataset_manifest"), "encoder": One(ENCODER.kind)},
    presets=STATES,
    learns=ROWS,
    unchecked="its columns of numbers are covered by the check",
    modules=(HERE, "training.recipes.geno_hf.llama", "training.recipes.geno_lewm.encoder"),
    checks=(
        Check(
            name="complete",
            run="training.recipes.geno_lewm.state_table:check_complete",
            says="Every row of the trajectories has its states, and every number of them is finite.",
        ),
    ),
    pool="gpu",
    tags=("pytorch", "arrow"),
)
OPENER = f"{HERE}:open_encoder"


def make_encoder(store: Store, manifest: Snapshot, config: DirectoryConfig) -> Snapshot:
    """Publish (or reuse) ``model.safetensors``, ``config.json`` and ``tokenizer.json``.

    Raises DataError ENCODER_UNSAFE, ENCODER_MODEL for another model than a plain Llama, ENCODER_TOKENS where the
    tokenizer has no 6-mers or the manifest's windows are not whole ones.
    """
    width = read_layout(open_members(store, manifest)["windows"], Layout)["width"]
    if width % K:
        action = "set genome.windows.width to a multiple of 6"
        raise DataError("ENCODER_TOKENS", "windows are not whole 6-mers", found=width, action=action)
    given = open_directory(Path(config.directory)) if config.directory else None
    return store.run_stage(
        name=ENCODER.kind,
        module=ENCODER.modules,
        config=config,
        parents={"manifest": manifest},
        arguments={"files": _facts(given)} if given else None,
        build=lambda writer: _publish(writer, given),
        outside=Outside(reads=given.files if given else []),
    )


def make_state_table(store: Store, manifest: Snapshot, encoder: Snapshot, config: StatesConfig) -> Snapshot:
    """The states that this encoder gives; see :func:`make_states`."""
    return make_states(store, STATE_TABLE, OPENER, manifest, encoder, config)


def open_encoder(encoder: Snapshot, config: StatesConfig, device: torch.device) -> Encoder:
    """The encoder of a snapshot that :func:`make_encoder` published. Raises DataError ENCODER_LAYER."""
    import torch
    from safetensors.torch import load_file

    from training.recipes.geno_hf.llama import load_llama
    from training.recipes.geno_lewm.encoder import Encoder, encoder_id, layer_of

    begin, ids = kmer_ids(encoder.read_json("tokenizer.json"))
    model = load_llama(encoder.read_json("config.json"), load_file(encoder.file("model.safetensors"))).to(device)
    layer = layer_of(config, model.layers_there)
    return Encoder(
        id=encoder_id(encoder, config, layer),
        hidden=lambda codes: model.hidden(
            torch.from_numpy(tokenize(codes.cpu().numpy(), begin, ids)).to(codes.device), layer
        ),
        token=lambda width: token_of(width // 2),
        device=device,
    )


def _publish(writer: SnapshotWriter, given: Directory | None) -> None:
    from safetensors.torch import save_file

    from training.recipes.geno_hf.llama import load_llama
    from training.recipes.geno_hf.untrained import write_untrained

    own = writer.path / "untrained"  # inside: a sealed stage writes nowhere else
    found = given or open_directory(write_untrained(own))
    tensors = found.tensors()
    if own.exists():
        tensors = {name: value.clone() for name, value in tensors.items()}
        shutil.rmtree(own)
    kmer_ids(found.tokenizer)
    load_llama(found.config, tensors)
    save_file(tensors, writer.part("model.safetensors"))
    writer.write_json("config.json", found.config)
    writer.write_json("tokenizer.json", found.tokenizer)
    writer.stats |= {"tensors": len(tensors), "parameters": sum(value.numel() for value in tensors.values())}


def _facts(given: Directory) -> dict[str, str]:
    """Digests of the files as they are now: another content at the same place is another call."""
    from assets_data.lineage.identity.digests import digest_file

    return {path.name: digest_file(path) for path in given.files}
