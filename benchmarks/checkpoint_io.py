"""Saving, verifying and loading a checkpoint in MB/s, against bare safetensors on the same tensors and disk.

A save writes, syncs, reads back, compares and hashes; bare safetensors writes, with and without a sync. In turn in one
process, several rounds. ``python -m benchmarks.checkpoint_io [megabytes]``.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from assets_data.lineage import digest_file
from assets_data.lineage.storage import atomic
from benchmarks.result import save
from training import checkpoint

ROUNDS = 5


def make_tensors(megabytes: int) -> dict[str, dict[str, torch.Tensor]]:
    """Weights and two moments, as AdamW has them: float32 matrices of 4 MB."""
    torch.manual_seed(0)
    count = max(1, megabytes // 12)
    parts = {"model": ("",), "optimizer": ("/exp_avg", "/exp_avg_sq")}
    return {
        part: {f"{layer}.weight{suffix}": torch.randn(1024, 1024) for layer in range(count) for suffix in suffixes}
        for part, suffixes in parts.items()
    }


def measure(tensors: dict[str, dict[str, torch.Tensor]], folder: Path) -> dict[str, float]:
    """Seconds of every way, one after the other, in an empty folder."""
    paths = {part: folder / f"{part}.safetensors" for part in tensors}
    seconds = {"safetensors_save": clock(lambda: [save_file(tensors[p], paths[p]) for p in paths])}
    for path in paths.values():
        path.unlink()
    seconds["safetensors_save_and_sync"] = clock(lambda: [_save_and_sync(tensors[p], paths[p]) for p in paths])
    seconds["stemma_save"] = clock(lambda: checkpoint.save(folder / "checkpoints", 1, tensors, {}))
    saved = folder / "checkpoints" / "00000001"
    state = checkpoint.read_state(saved)
    return seconds | {
        "sha256": clock(lambda: [digest_file(paths[p]) for p in paths]),
        "stemma_verify": clock(lambda: checkpoint.read_state(_as_never_seen(saved))),
        "safetensors_load": clock(lambda: _touch({p: load_file(paths[p]) for p in paths})),
        "stemma_load": clock(lambda: _touch(checkpoint.load_tensors(saved, state))),
        "stemma_verify_and_load": clock(lambda: _touch(_verified(_as_never_seen(saved)))),
    }


def clock(work: Callable[[], object]) -> float:
    """Wall seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(megabytes: int) -> None:
    """Measure every way in turn, several rounds, and save."""
    tensors = make_tensors(megabytes)
    size = sum(t.numel() * t.element_size() for part in tensors.values() for t in part.values()) / 1e6
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure(tensors, Path(folder)))
    rates = {f"{name}_mb_per_s": round(size / statistics.median(r[name] for r in rounds)) for name in rounds[0]}
    save("checkpoint_io", ["torch", "safetensors"], {"megabytes": round(size), "rounds": ROUNDS, **rates})


def _save_and_sync(tensors: dict[str, torch.Tensor], path: Path) -> None:
    save_file(tensors, path)
    atomic.sync_path(path)


def _as_never_seen(path: Path) -> Path:
    """A file whose times changed is hashed again: a verification is measured as another process does it."""
    for file in path.iterdir():
        os.utime(file)
    return path


def _verified(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    return checkpoint.load_tensors(path, checkpoint.read_state(path))


def _touch(parts: dict[str, dict[str, torch.Tensor]]) -> None:
    """Read every byte: a memory map has loaded nothing yet."""
    for tensors in parts.values():
        for tensor in tensors.values():
            tensor.sum()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
