"""The generators that training may draw from without naming one: torch's on every device, numpy's and Python's.

The project's own code draws from keyed streams and needs none of them; dropout draws from torch's, and some optimizers
from the others. Owns how they are seeded, kept in a checkpoint and left alone by a measurement.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def generator_states() -> dict[str, Tensor]:
    """The state of every generator as a tensor, by name."""
    cuda = {f"cuda.{i}": torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())}
    kept: Any = np.random.get_state()
    _, keys, position, has_gauss, gauss = kept
    numpy = _packed(keys, position, gauss if has_gauss else None)
    _, (*words, position), gauss = random.getstate()
    return {"cpu": torch.get_rng_state(), **cuda, "numpy": numpy, "python": _packed(words, position, gauss)}


def restore_generators(states: Mapping[str, Tensor]) -> None:
    """Put back what :func:`generator_states` gave; a generator that is not among ``states`` stays as it is."""
    torch.set_rng_state(states["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda.{index}"], index)
    if "numpy" in states:  # older checkpoints have torch's alone
        words, position, gauss = _unpacked(states["numpy"])
        numpy = ("MT19937", np.array(words, np.uint32), position, int(gauss is not None), gauss or 0.0)
        np.random.set_state(numpy)
        words, position, gauss = _unpacked(states["python"])
        random.setstate((3, (*words, position), gauss))


def seed_generators(seed: int) -> None:
    """Start every generator anew from a 52-bit ``seed``.

    ``torch.manual_seed`` does the same and, for every kind of device that is not there, notes where it was called from,
    which takes several percent of a small update.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    np.random.seed([seed >> 32, seed & 0xFFFFFFFF])
    random.seed(seed)


@contextlib.contextmanager
def forked_generators() -> Iterator[None]:
    """Whatever is drawn inside, every generator goes on afterwards as if nothing had been."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        numpy, python = np.random.get_state(), random.getstate()
        try:
            yield
        finally:
            np.random.set_state(numpy)
            random.setstate(python)


def _packed(words: Iterable[int], position: int, gauss: float | None) -> Tensor:
    """int64[627]: the 624 words of a Mersenne Twister, its position, and the normal deviate it holds back, if any."""
    held = 0 if gauss is None else int(np.float64(gauss).view(np.int64))
    return torch.from_numpy(np.array([*words, position, gauss is not None, held], np.int64))


def _unpacked(state: Tensor) -> tuple[list[int], int, float | None]:
    *words, position, has_gauss, held = state.tolist()
    return words, position, float(np.int64(held).view(np.float64)) if has_gauss else None
