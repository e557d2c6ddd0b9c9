"""The page about growth, from ``benchmarks/results/slices.json`` and ``epoch.json``: what commands cost by slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.figures import read_results
from docs.generate.markdown import measured, table

STEPS = {
    "made": "`stemma run` in an empty root, to the manifest",
    "no_op": "the same again: nothing to do",
    "warm": "and once more",
    "one_more": "the same with one more slice",
    "loading": "loading the code location",
    "status": "`stemma status`",
    "explain": "`stemma explain` of the manifest",
    "uses": "`stemma uses` of a record",
}
RUNS = ("made", "no_op", "warm", "one_more")
PARTS = {
    "look_s": "looking what is made",
    "work_s": "stages and checks",
    "orchestration_s": "all else",
    "events_s": "of which events",
}
"""Processor seconds of a run beside loading the code location, see ``benchmarks.slices``."""
HEAD = """# What growth costs

A slice of the text domain is one partition and five snapshots (records, cleaned documents, their index, drops,
triples). Below are processor seconds of each command over so many slices of four small records, each in a process of
its own on one thread, with their exponent between the two largest sizes above what the smallest costs (1 is linear
growth). Slices this small are all bookkeeping: what one costs is what Stemma, Dagster and its event log add to work.
Each command is measured at every size before the next one is, as a shared machine is not equally fast all day; loading
does the same at every size, so its seconds show how fast it was at that moment: 2.5 s when quiet. The first of two runs
that have nothing to do reads from the disk what the second finds in the page cache; a process beside reads it ahead,
whose seconds are counted, too.

"""

UI = """## In the UI

The web UI was looked at once with 10,000 names registered for the text domain, 400 of them with events, on two cores
that had much other work: the partitions of `text/raw_slice` were there after two to five seconds, the graph after three
to eleven, and names are whole and in the order in which they were registered, which is that of their numbers. The
dialog to materialise them opens with none chosen, says how many go into one run (`slices_per_run`, 100), and takes no
range such as `[files-0000...files-0099]`: type a beginning, `files-00`, and choose `Select all (100)`. Choosing all, or
all that are missing, keeps the browser busy for 6 processor seconds (13 to 26 on the clock) in Dagster's own page, and
nothing asks again before `Launch backfill`. A backfill of all was accepted within three seconds; after 100 more, 12 of
the 101 runs it needs were made, and it was cancelled there.
"""


def growth_page() -> str:
    """The table by slices, the runs and events of Dagster, memory, and the first batch of an epoch."""
    results = read_results()
    slices, epoch = results["slices"], results["epoch"]
    sizes: Mapping[str, Any] = slices["figures"]["slices"]
    largest = list(sizes)[-1]
    by_step = table(("command", *(f"{int(size):,}" for size in sizes), "exponent"), _steps(slices["figures"]))
    columns = ("Dagster runs", "events", *PARTS.values(), "by the clock")
    runs = table((f"at {int(largest):,} slices", *columns), _runs(sizes[largest]))
    run, answer = (max(step["peak_mib"] for step in group) for group in _by_kind(sizes[largest]))
    first = epoch["figures"]["first_batch"]
    return "\n".join([
        HEAD + by_step, runs,
        f"A new slice costs Dagster {_per_slice_ms(sizes):.0f} ms of processor time. A run takes {run:,} MiB of memory "
        f"at most, an answer {answer:,}.\n\n{measured(slices)} Clock times and the memory of every step are under "
        "[Figures](figures.md#slices).\n",
        UI,
        "## Rows\n",
        f"The order of an epoch is sorted only where it is read. Over {epoch['figures']['rows']:,} rows whose keys lie "
        f"on disk the first batch takes {first['wall_s']:.1f} s ({first['cpu_s']:.1f} of a processor) and "
        f"{first['peak_mib']:,} MiB.\n\n{measured(epoch)}\n",
    ])  # fmt: skip


def _by_kind(steps: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The steps that run stages, and those that only answer."""
    return [steps[name] for name in RUNS], [steps[name] for name in STEPS if name not in RUNS]


def _steps(figures: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for name, says in STEPS.items():
        exponent = figures["exponent"].get(name)
        seconds = (f"{steps[name]['cpu_s']:,.1f}" for steps in figures["slices"].values())
        yield says, *seconds, "none" if exponent is None else f"{exponent:.2f}"


def _runs(steps: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for name in RUNS:
        one = steps[name]
        seconds = (f"{one[part]:,.1f}" for part in (*PARTS, "wall_s"))
        yield STEPS[name], one["dagster_runs"], f"{one['events']:,}", *seconds


def _per_slice_ms(sizes: Mapping[str, Any]) -> float:
    """The slope of what Dagster's events cost, between the smallest and the largest size."""
    (low, *_, high) = sizes
    return 1000 * (sizes[high]["made"]["events_s"] - sizes[low]["made"]["events_s"]) / (int(high) - int(low))
