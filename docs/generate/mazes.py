"""The page about text mazes, from ``benchmarks/results/hrm_core.json``: which model solves which depth, by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.figures import read_results
from docs.generate.markdown import measured, table

HEAD = """# Mazes: is the recurrent core needed?

`stemma run --recipe hrm_lm --preset flood` trains on text mazes of depth 1 to 5 (the depth is how many steps a flood
from `S` needs) and is judged on 250 other mazes of each depth from 1 to 10, every open cell of which must be right. The
core keeps a latent per token (`core.reads: tokens`) and runs a number of segments drawn anew for every update; in use
it runs more of them with the same weights. The gate report in the UI draws exact match by depth for 2, 4, 6 and 8
segments, and solved and failed mazes. `stemma generate` answers a maze as a picture and says how many segments it took:

    stemma generate --checkpoint hrm_lm/checkpoint --prompt $'S..#.\\n##.#.\\n...#.\\n.####\\n.....'

The tables are written by `python -m docs.generate` from one run of every model and seed; all trained for the same
number of updates on the same mazes. The gate's thresholds are those of the preset before any of these runs.

## What makes it loop

A model that reads everything at once can learn the trained depths without going on: later segments then say what the
first one did. Three settings keep it from that; none of them is told an answer, and nothing of them but the window is
needed in use.

- `window: 6`. In the encoder and in the core's latents a place reads others up to 6 places away, so the cells around it
  (a row is 6 places long) but not the whole maze. What is far has to come step by step. The slow slots and the decoder
  read everything.
- `core.reach: 2`. In training the loss of segment k leaves out the cells that S reaches in more than 2k steps (a
  segment runs two steps); cells that nothing reaches always count. Depths stay 1 to 5, the distances are read from
  the maze itself.
- `relative_positions`: a learned score per head and distance in the core and the encoder.

Without the window (1,600 updates, at commit 0c4987767e35) three of the six seeds 11 to 16 passed: 11 and 14 solved
every deep maze, 16 .635 of them, 12, 13 and 15 .207, .277 and .295. Seeds 12 and 13 then became development seeds:

| settings | updates | seed 12 deep | seed 13 deep |
|---|---|---|---|
| reach and window | 1,600 and 1,000 | 1.000 | .998 |
| window alone, everything judged | 1,600 and 1,000 | 1.000 | .111 |
| window alone, without relative positions | 1,000 | about .72 (watched mazes) | |
| far cells trained to say "not yet", no window | 1,600 | .159 | 1.000 |
| far cells trained to say "not yet", window | 1,600 and 1,000 | 1.000 | .142 |
| far cells trained to say "not yet", window in the core alone | 1,600 | .996 | |

With reach and window and 1,600 updates the development seeds 15, 100, 101 and 102 solved .999, 1.000, 1.000 and 1.000
of the deep mazes. Earlier tries that helped less or not at all, all on seed 100 and short: single steps as segments,
twice the width, depths in rising order, fewer unreachable cells, no encoder layer, other numbers of heads, Muon. Not
tried: averaged weights, a term for agreement between segments, noise in the first latents.

Registered before any of the seeds 17 to 26 was run with it: the preset with these settings and 1,600 updates, the
gate's thresholds as before (near .95, deep .5, what going on adds to the fewest segments of training .2, spread of
slots .01), the question whether nine of ten seeds pass, and the other models: without slow slots; `plain` with as many
parameters and with as much compute, both reading everything and (five seeds) within the same window.

## What came of it

Nine of ten seeds of the core pass, and each of the nine solves all 1,250 deep mazes; a training takes 124 to 143 CPU
seconds. Seed 19 fails (.420): as in the failures before, its first segment already solves .968 of depth 4, and segments
after the fourth change nothing. It learned to read far at once, through the slow slots and the decoder, which have no
window. The slow slots are not what is needed: without them nine of ten pass as well, and seed 19 fails again (.252).

No model without a core passes. All of them solve the trained depths (.986 and more), and of the deep mazes .118 to
.390 with as many parameters, .045 to .343 with as much compute. Within the same window five of the registered seeds
were run, with as many parameters: .330, .103, .105, .177 and .215 (the table "Without a core, in the window, every
run"). Those with as much compute were not.

## A harder step

With `data.marks=path` a maze has a goal, an `o` drawn among the cells that `S` reaches, and asked for are the cells on
a shortest path to it (all of them, where there are several); the depth is the number of steps to the goal. Depths 1 to
5 are trained on, 6 to 10 only judged, as above. The arms `path_9x9` and `path_9x9_plain` of `benchmarks.hrm_core` train
a core (6 segments, 12 in use) and an encoder of six layers on mazes of 9 by 9. What guesses score there: "nothing",
"all that is open" and "all that is reached" no maze; the open cells of the rectangle between `S` and the goal every
maze of depth 1 and 2, about half of depth 4, 4% of the deep ones. `core.reach` is refused with it: how far a cell is
from `S` does not say when it can be known to be on the way.

Tried on the development seed 100, shares of mazes right in every cell:

| mazes and settings | updates | training, CPU s | depth 1 to 5 | depth 6 to 10 |
|---|---|---|---|---|
| 9 by 9, core with a window of 10 | 300 | 130 | .000 | .000 |
| the same, on 200 watched mazes; .340 and .010 at update 1,250 | 1,400 | about 480 | .670 | .000 |
| 5 by 5, core with a window of 6 | 1,600 | 157 | .939 | .118 |
| the same, segment k judged on mazes whose goal is at most 2k steps away | 1,600 | 153 | .902 | .082 |

What fails is going on. On 5 by 5 the first segment says all that the twelfth says (depth 6: .41 and .46; depth 8:
.02 and .03), so no flood out and back was learned, at most the look of short paths; judging a segment only where
the goal can have been found made segments 1 and 2 differ and the rest worse.

The two arms were then run at their full length, once, on seed 17 (the table "A harder step, every run"; loaded, 18 and
12 minutes of one core). The core solves .868 of the trained depths and the encoder .641, with more parameters; of the
deep mazes .015 and .018. Within the trained depths the core does go on: of depth 4 its first segment solves .584, its
fourth .804. At depth 6 twelve segments solve .072, at depth 8 none, and nothing changes after the fourth. Not tried: no
slow slots (they and the decoder read the whole maze, a way around the window), two encoder layers, more steps per
segment, more mazes.

## Text and sums

The core of this preset, without window and reach, in the place of the core of the text and arithmetic presets
(`python -m benchmarks.hrm_lm PRESET --arms core_over_tokens`, one thread, one seed). Sums: every held-out pair is
right, as with the pooled core and without any. On the smoke preset's text the
held-out loss is 3.783 nats [3.629, 3.936], with the pooled core 3.761 [3.607, 3.915], without a core and as many
parameters 3.885 [3.734, 4.036], bigrams 4.038. The intervals overlap, and the gate of the core over tokens stays shut
(.0001), so on text it is not shown to help. On the preset `demo` it was not run.
"""
HEADINGS = ("model", "seed", "depth 1 to 5", "depth 6 to 10", "gate", "parameters", "CPU s")
BESIDE = {"Without a core, in the window": "hrm_core_window", "A harder step": "hrm_core_path"}
"""Titles of the tables of further files."""
Runs = Mapping[str, Mapping[str, Any]]


def mazes_page() -> str:
    """Every seed of every arm, then means by depth and number of segments."""
    results = read_results()
    document = results["hrm_core"]
    arms: Mapping[str, Any] = document["figures"]
    every = table(HEADINGS, (row for arm, one in arms.items() for row in _rows(arm, one["runs"])))
    depths = ("model", "segments", *map(str, range(1, 11)))
    curve = table(depths, (row for arm, one in arms.items() for row in _curve(arm, one["summary"])))
    return "\n".join([
        HEAD, f"{measured(document)}\n",
        "## Every seed\n\nShares of mazes right in every cell, with 95% Wilson intervals.\n", every,
        "## Do slow slots help?\n", _slots(arms), "## Exact match by depth, mean over seeds\n", curve,
        *(part for title, name in BESIDE.items() if name in results for part in _beside(title, results[name])),
    ])  # fmt: skip


def _beside(title: str, document: Mapping[str, Any]) -> tuple[str, ...]:
    """A table of its own for arms that were run at another commit."""
    rows = (row for arm, one in document["figures"].items() for row in _rows(arm, one["runs"]))
    return f"## {title}, every run\n", f"{measured(document)}\n", table(HEADINGS, rows)


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
