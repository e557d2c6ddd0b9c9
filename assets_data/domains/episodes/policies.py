"""Actions that are a pure function of (seed, reset seed, policy, step): no policy holds state, none is ever reseeded.

Philox's raw 64-bit words are fixed by numpy's policy on bit generators, so the actions are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets_data.lineage.identity.order import keyed_generator


def uniforms(seed: int, stream: str, index: int, count: int) -> np.ndarray:
    """float64[count] in [0, 1), from the top 53 bits of Philox's words."""
    return (keyed_generator(seed, stream, index).bit_generator.random_raw(count) >> np.uint64(11)) * 2.0**-53


def actions(policy: str, hold: int, space: dict[str, Any], seed: int, reset_seed: int, steps: int) -> np.ndarray:
    """[steps, *A] in the space's dtype: ``uniform`` draws anew every step, ``held`` keeps one for 1..``hold`` steps."""
    width = int(np.prod(space["shape"], dtype=int))
    drawn_SA = uniforms(seed, f"episodes/{policy}", reset_seed, steps * width).reshape(steps, width)
    if policy == "held":
        lengths = 1 + (uniforms(seed, "episodes/hold", reset_seed, steps) * hold).astype(np.int64)
        drawn_SA = np.repeat(drawn_SA, lengths, axis=0)[:steps]
    return to_space(space, drawn_SA)


def to_space(space: dict[str, Any], drawn_SA: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1) as actions: [S, *A] in the space's dtype."""
    if space["kind"] == "discrete":
        values = space["start"] + (drawn_SA * space["n"]).astype(np.int64)
    else:
        low, high = np.array(space["low"]).ravel(), np.array(space["high"]).ravel()
        values = low + drawn_SA * (high - low)
    return values.reshape(len(drawn_SA), *space["shape"]).astype(space["dtype"])
