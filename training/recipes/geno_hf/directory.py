"""Reading a model's local Hugging Face directory: safetensors and JSON, and nothing that could run.

No code of the directory is imported, no pickle opened, no network asked. What makes that doubtful is refused with
ENCODER_UNSAFE: pickles beside the weights, a model class of the directory's own, shards outside it, shards and index
that disagree. A tokenizer's own code does no harm, as it is not read: 6-mers are looked up in ``tokenizer.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.lineage import DataError, IntegrityError
from assets_data.lineage.identity.digests import load_json, tensor_entries

if TYPE_CHECKING:
    from torch import Tensor

PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}
INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """``config`` and ``tokenizer`` are documents, ``shards`` the files that hold the tensors, each tensor once."""

    path: Path
    config: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    shards: Mapping[Path, list[str]]

    @property
    def files(self) -> list[Path]:
        """All that is read."""
        return [self.path / "config.json", self.path / "tokenizer.json", *self.shards]

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of every shard by name, as stored."""
        from safetensors import safe_open

        found: dict[str, Tensor] = {}
        for shard, names in self.shards.items():
            with safe_open(shard, "pt") as file:
                found |= {name: file.get_tensor(name) for name in names}
        return found


def open_directory(path: Path) -> Directory:
    """A directory that may be read. Raises DataError ENCODER_UNSAFE where it may not, or where a file is missing."""
    if not path.is_dir():
        action = "download the model first: nothing is fetched here"
        raise DataError("ENCODER_UNSAFE", "the encoder is no local directory", where=path, action=action)
    if pickles := sorted(file.name for file in path.iterdir() if file.suffix in PICKLES):
        action = "keep the .safetensors files only"
        raise DataError("ENCODER_UNSAFE", "the directory has pickles", where=path, found=pickles, action=action)
    config = _document(path / "config.json")
    own = sorted(name for name in config.get("auto_map", {}) if name != "AutoTokenizer")
    if own:
        what = "the model needs code of the directory's own, which is never run"
        raise DataError("ENCODER_UNSAFE", what, where=path / "config.json", found=own)
    return Directory(path=path, config=config, tokenizer=_document(path / "tokenizer.json"), shards=dict(_shards(path)))


def _shards(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each file of weights with its tensors, which are those that the index lists for it."""
    if not (path / INDEX).exists():
        yield path / WHOLE, _names(path / WHOLE)
        return
    listed: dict[str, list[str]] = {}
    for name, shard in sorted(_document(path / INDEX)["weight_map"].items()):
        listed.setdefault(shard, []).append(name)
    if others := sorted({file.name for file in path.glob("*.safetensors")} - set(listed)):
        raise DataError("ENCODER_UNSAFE", "the index does not list these weights", where=path, found=others)
    for shard, names in listed.items():
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise DataError("ENCODER_UNSAFE", "a shard lies elsewhere", where=path / INDEX, found=shard)
        if (there := _names(path / shard)) != names:
            found = sorted(set(there) ^ set(names))
            what = "index and shard name different tensors"
            raise DataError("ENCODER_UNSAFE", what, where=path / shard, found=found[:8])
        yield path / shard, names


def _names(path: Path) -> list[str]:
    try:
        return [entry[0] for entry in tensor_entries(path)]
    except (OSError, IntegrityError) as error:
        raise DataError("ENCODER_UNSAFE", f"no whole safetensors file: {error}", where=path) from error


def _document(path: Path) -> dict[str, Any]:
    try:
        found = load_json(path.read_bytes(), path)
    except (OSError, IntegrityError, DataError) as error:
        raise DataError("ENCODER_UNSAFE", f"no readable document: {error}", where=path) from error
    if not isinstance(found, dict):
        raise DataError("ENCODER_UNSAFE", "the document is no object", where=path)
    return found
