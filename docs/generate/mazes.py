"""The page about text mazes, from ``benchmarks/results/hrm_core.json``: which model solves which depth, by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.figures import read_results
from docs.generate.markdown import code, table

HEAD = """# Mazes: is the recurrent core needed?

`stemma run --recipe hrm_lm --preset flood` trains on text mazes of depth 1 to 5 (the depth is how many steps a flood
from `S` needs) and is judged on 250 other mazes of each depth from 1 to 10, every open cell of which must be right. The
core keeps a latent per token (`core.reads: tokens`) and runs a number of segments drawn anew for every update; in use
it runs more of them with the same weights. The gate report in the UI draws exact match by depth for 2, 4, 6 and 8
segments, and solved and failed mazes. `stemma generate` answers a maze as a picture and says how many segments it took:

    stemma generate --checkpoint hrm_lm/checkpoint --prompt $'S..#.\\n##.#.\\n...#.\\n.####\\n.....'

The tables are written by `python -m docs.generate` from one run of every model and seed; all trained for the same
number of updates on the same mazes. `plain` models have no core: one of about as many parameters (3 encoder layers),
one of more compute (6). The gate's thresholds are those of the preset before any of these runs.

## What makes it loop

A model that reads everything at once can learn the trained depths without going on: with the settings before these,
near mazes came right after the first segment, later segments said the same, and two of five development seeds looped.
Two things changed that, both chosen on one development seed (100) alone, as CPU time was short:

- `core.reach: 2`. The loss of segment k leaves out the cells that S reaches in more than 2k steps (2 is how many
  steps a segment runs); cells that nothing reaches always count. Targets are the final answers, depths stay 1 to 5,
  and the distance is read from the maze itself; nothing of it is needed in use. Without it seed 100 with 900 to 1,000
  updates had .89 of near mazes right, .16 of deep ones, and the same after 1 segment as after 8; with it 1.00 and
  .61.
- `relative_positions`: a learned score per head and distance, in the encoder too, so also in the `plain` models. On
  the same seed .53 of near mazes were right after 600 updates instead of .38; it does not make a model loop by
  itself.

No help, on seed 100 and for 400 to 600 updates: single steps as segments (the loss after each, or after the last
alone), twice the width (faster per update, not per CPU second), weight decay of .1. Before that, and as little tried:
depths in rising order, fewer unreachable cells, no encoder layer, no slow slots, other numbers of heads; Muon looped
on neither of two seeds. Not tried: averaged weights, a term for agreement between segments, noise in the first
latents.

Registered before any of the seeds 11 to 20 was run: the preset with these two settings and 1,600 updates, the gate's
thresholds as before (near .95, deep .5, what going on adds .2, spread of slots .01), and as the question whether nine
of ten seeds pass. The page has every seed that was run.

Models that the table lacks have not been run; nothing is said of them.
"""
Runs = Mapping[str, Mapping[str, Any]]


def mazes_page() -> str:
    """Every seed of every arm, then means by depth and number of segments."""
    document = read_results()["hrm_core"]
    arms: Mapping[str, Any] = document["figures"]
    head = ("model", "seed", "depth 1 to 5", "depth 6 to 10", "gate", "parameters", "CPU s")
    every = table(head, (row for arm, one in arms.items() for row in _rows(arm, one["runs"])))
    depths = ("model", "segments", *map(str, range(1, 11)))
    curve = table(depths, (row for arm, one in arms.items() for row in _curve(arm, one["summary"])))
    made = f"{code(document['command'])} at commit {str(document['commit'])[:12]}"
    return "\n".join([
        HEAD, f"Measured by {made}.\n",
        "## Every seed\n\nShares of mazes right in every cell, with 95% Wilson intervals.\n", every,
        "## Do slow slots help?\n", _slots(arms), "## Exact match by depth, mean over seeds\n", curve,
    ])  # fmt: skip


def _rows(arm: str, runs: Runs) -> Iterator[tuple[object, ...]]:
    for seed, one in runs.items():
        shares = (f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in (one["near"], one["deep"]))
        yield _words(arm), seed, *shares, one["verdict"], f"{one['parameters']:,}", f"{one['cpu_seconds']:.0f}"


def _curve(arm: str, summary: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    by_depth = summary["mean_exact_by_depth"]
    for name, shares in by_depth.items():
        if name != "segments_1" or len(by_depth) == 1:
            yield _words(arm), "none" if len(by_depth) == 1 else name.removeprefix("segments_"), *shares


def _slots(arms: Mapping[str, Any]) -> str:
    """Seed by seed, how the core and the flat one compare deep: which interval lies above the other, if any."""
    core, flat = (arms.get(name, {"runs": {}})["runs"] for name in ("core", "core_without_slow_slots"))
    if not core.keys() & flat.keys():
        return "Not measured yet.\n"
    counts = {"with slots": 0, "without": 0, "intervals overlap": 0}
    for seed in core.keys() & flat.keys():
        (_, low, high), (_, flat_low, flat_high) = core[seed]["deep"], flat[seed]["deep"]
        counts["with slots" if low > flat_high else "without" if flat_low > high else "intervals overlap"] += 1
    return table(("better at depth 6 to 10, beyond the intervals", "seeds"), counts.items())


def _words(arm: str) -> str:
    return arm.replace("_", " ")
