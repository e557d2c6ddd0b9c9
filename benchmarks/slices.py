"""What many tiny slices cost: each answer and each run over N slices of four small records, in a process of its own.

CPU seconds of the process and its children, for on a shared machine those of the clock say little; the clock's beside
them. ``made`` is a run in an empty root up to the dataset manifest, ``no_op`` the same again, ``warm`` once more, when
what it reads is in the page cache (a large root may have left it since it was made), ``one_more`` after one file was
added; their Dagster runs are counted, and CPU seconds told apart: those in which Dagster logs and stores events
(``events_s``), those in which is looked whether things are made already (``look_s``), those in which stages and checks
work on data (``work_s``), and all the others but for loading the code location (``orchestration_s``, of which events
are a part). Every step has a cost of its own at the smallest N, mostly imports; the exponent is of what the two largest
N cost above that, and null where that is too little to tell from noise.

    python -m benchmarks.slices [N ...]
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save

SIZES = (4, 100, 1000)
NOISE_S = 0.5  # CPU seconds by which two runs of one step may differ
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "omicron")
MANIFEST = "text/dataset_manifest"


def write_files(folder: Path, names: range) -> None:
    """A file of four texts each, which is a slice each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in names:
        draw = random.Random(number)
        rows = [f"document {number} {row} {' '.join(draw.choices(WORDS, k=60))}" for row in range(4)]
        text = "".join(json.dumps({"text": row}) + "\n" for row in rows)
        (folder / f"{number:06}.jsonl").write_text(text)


@contextmanager
def seconds_of(owner: Any, name: str) -> Iterator[list[float]]:
    """The CPU seconds of every call of ``owner``'s function ``name`` while inside."""
    spent, function = list[float](), getattr(owner, name)

    def timed(*given: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return function(*given, **named)
        finally:
            spent.append(time.process_time() - began)

    setattr(owner, name, timed)
    try:
        yield spent
    finally:
        setattr(owner, name, function)


def run_to_manifest(folder: Path) -> dict[str, Any]:
    """``stemma run``, of the stages up to the manifest."""
    from dagster._core.log_manager import DagsterLogManager

    from assets_data.lineage import Store
    from pipeline_defs.commands.chain import plan_stages, run_chain
    from pipeline_defs.commands.passed import Passed
    from pipeline_defs.commands.run import open_instance
    from pipeline_defs.dagster import checks
    from pipeline_defs.home import prepare_home, stemma_root

    source = {"source": "files", "files.root": str(folder), "files.patterns": ["*.jsonl"], "shards": 2**40}
    settings = {f"text.raw_slice.{name}": value for name, value in source.items()}
    prepare_home(stemma_root())
    with ExitStack() as stack:
        instance = stack.enter_context(open_instance())
        parts = ((DagsterLogManager, "log_dagster_event"), (Passed, "holds"), (Store, "_build"), (checks, "evaluated"))
        events, look, *work = (stack.enter_context(seconds_of(*part)) for part in parts)
        runs, began = instance.get_runs_count(), time.process_time()
        run_chain(instance, plan_stages("slices", [MANIFEST], "smoke", settings))
        spent = {"events_s": sum(events), "look_s": sum(look), "work_s": sum(map(sum, work))}
        rest = {"orchestration_s": time.process_time() - began - spent["look_s"] - spent["work_s"]}
        facts = {"dagster_runs": instance.get_runs_count() - runs, "events": len(events)}
        return facts | {name: round(seconds, 2) for name, seconds in (spent | rest).items()}


def ask(*words: str) -> dict[str, Any]:
    """A command that only answers."""
    from pipeline_defs.commands.cli import main

    sys.argv = ["stemma", *words, "--json"]
    try:
        main()
    except SystemExit as ended:
        return {"exit": ended.code}
    return {}


def a_record(_folder: Path) -> str:
    """The id of some record of the store."""
    from assets_data.lineage import Store
    from assets_data.lineage.identity.record_ids import table_records
    from pipeline_defs.home import stemma_root

    store = Store(stemma_root() / "store")
    name = store.names("text/raw_slice")[0]
    return table_records(store.pointed(f"text/raw_slice/{name}").file("records.parquet"))[0].tobytes().hex()


def load_location(_folder: Path) -> dict[str, Any]:
    """What every Dagster process does first."""
    import pipeline_defs.definitions

    return {"jobs": len(list(pipeline_defs.definitions.defs.jobs or []))}


STEPS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "made": run_to_manifest,
    "no_op": run_to_manifest,
    "warm": run_to_manifest,
    "one_more": run_to_manifest,
    "loading": load_location,
    "status": lambda folder: ask("status"),
    "explain": lambda folder: ask("explain", MANIFEST),
    "uses": lambda folder: ask("uses", a_record(folder)),
}


def measure(sizes: list[int]) -> dict[int, dict[str, Any]]:
    """Every step over every number of slices: one step over all of them before the next, for a machine may be faster
    now and slower later, and a step is compared with itself.
    """
    found: dict[int, dict[str, Any]] = {size: {} for size in sizes}
    with tempfile.TemporaryDirectory() as root:
        for name in STEPS:
            for size in sizes:
                found[size][name] = run_step(name, size, Path(root) / str(size))
    return found


def run_step(name: str, slices: int, root: Path) -> dict[str, Any]:
    """One step in a process of its own; before the first the files are written, before ``one_more`` one more."""
    folder = root / "files"
    begin, end = {"made": (0, slices), "one_more": (slices, slices + 1)}.get(name, (0, 0))
    write_files(folder, range(begin, end))
    command = [sys.executable, "-m", "benchmarks.slices", "--step", name, str(folder)]
    variables = {**os.environ, "STEMMA_ROOT": str(root / "root"), "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def step(name: str, folder: Path) -> None:
    """One step, then its cost as the last line."""
    started = time.perf_counter()
    facts = STEPS[name](folder)
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in spent)
    facts |= {"cpu_s": round(cpu, 2), "wall_s": round(time.perf_counter() - started, 2)}
    print(f"\n{json.dumps({**facts, 'peak_mib': spent[0].ru_maxrss // 1024})}")


def exponents(found: dict[int, dict[str, Any]]) -> dict[str, float | None]:
    """Of the CPU seconds of each step, at the two largest sizes and above those at the smallest; 1 is linear growth."""
    least, *_, small, large = sorted(found)
    growth: dict[str, float | None] = {}
    for name in STEPS:
        low, high = (found[size][name]["cpu_s"] - found[least][name]["cpu_s"] for size in (small, large))
        sizes = math.log((large - least) / (small - least))
        growth[name] = round(math.log(high / low) / sizes, 2) if min(low, high) > NOISE_S else None
    return growth


def main(sizes: list[int]) -> None:
    """Measure every size and save; with fewer than three there is no exponent."""
    found = measure(sizes)
    growth = exponents(found) if len(found) > 2 else {}
    figures = {"slices": {str(size): steps for size, steps in found.items()}, "exponent": growth}
    save("slices", ["dagster", "polars", "pyarrow"], figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        step(sys.argv[2], Path(sys.argv[3]))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
