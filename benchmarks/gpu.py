"""A day's questions to one card in one call: ``python -m benchmarks.gpu --budget 540 --out DIR``.

Needs what ``training`` needs and nothing of the other rooms: no Dagster, no Polars. A stage that the budget does not
reach, or runs out in, is skipped, and the file says so; one that fails says why and ends no other. The file is written
after each stage, so a card that is taken away leaves what was measured.
On a machine without one every stage runs on the CPU, at the demo's size or, for tests, a tiny one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from assets_data.lineage import with_overrides
from benchmarks.gpu_hrm import RECIPE as HRM_LM
from benchmarks.gpu_hrm import TINY as TINY_HRM
from benchmarks.gpu_hrm import config_of, data_of
from benchmarks.training_loop import Unmeasured
from benchmarks.training_peers import (
    MadeUpRows,
    make_config,
    make_model,
    run_bare,
    run_hugging_face,
    run_lightning,
    run_nanogpt,
)
from training.callbacks import Callback
from training.checkpoint import read_state
from training.environment import bit_facts, pick_device
from training.loop import train
from training.machine import cuda_devices
from training.order import Order
from training.parallel.world import ALONE, World

TINY = {"model.layers": 1, "model.width": 16, "model.heads": 2, "model.context": 15, "train.batch_rows": 8}
PACKAGES = ("torch", "numpy", "pyarrow", "safetensors")


class OutOfTime(Exception):
    """The budget is gone."""


class Within(Callback):
    """Ends a run at the first edge after ``deadline``."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def step_end(self, run: Any) -> None:
        """Raises OutOfTime."""
        if time.monotonic() >= self._deadline:
            raise OutOfTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Sizes and place of one call, and when (of ``time.monotonic``) it must be over."""

    updates: int
    changes: dict[str, Any]
    hrm: dict[str, Any]
    folder: Path
    deadline: float = math.inf

    def config(self, **changes: Any) -> Any:
        """The loop benchmark's config, changed."""
        config = make_config(self.updates)
        plan = {f"train.{name}": value for name, value in changes.items()}
        return with_overrides(replace(config, train=replace(config.train, device="auto")), {**self.changes, **plan})

    def run(
        self, name: str, world: World = ALONE, callbacks: tuple[Callback, ...] = (), **changes: Any
    ) -> dict[str, Any]:
        """Train in a folder of that name: seconds, updates per second after the first, and the checkpoint's id."""
        config = self.config(**changes)
        data = MadeUpRows(config.model.context + 1)
        return self.train(Unmeasured(), config, data, name, callbacks, world)

    def train(
        self, recipe: Any, config: Any, data: Any, name: str, callbacks: Sequence[Callback] = (), world: World = ALONE
    ) -> dict[str, Any]:
        """Train in a folder of that name; see :func:`outcome`. Raises OutOfTime."""
        within = (*callbacks, Within(self.deadline))
        return outcome(train(recipe, config, data, self.folder / name, code="b", callbacks=within, world=world))

    def seconds(self, act: Callable[[], object]) -> float:
        """How long ``act`` took. Raises OutOfTime where it must not begin any more."""
        if (begun := time.monotonic()) >= self.deadline:
            raise OutOfTime
        act()
        return time.monotonic() - begun


def outcome(done: Any) -> dict[str, Any]:
    """Of a finished run."""
    facts = done.profile.facts()
    rates = {key: facts[key] for key in ("time_to_first_update_s", "updates_per_s")}
    return {**rates, "id": read_state(done.final)["checkpoint_id"], "inexact": done.inexact}


def environment(bench: Bench) -> dict[str, Any]:
    """Card, driver and versions."""
    from training.machine import installed_version

    device = pick_device(bench.config().train)
    versions = {package: installed_version(package) for package in PACKAGES}
    return {"bits": bit_facts(device), "cards": cuda_devices(), "python": platform.python_version(), **versions}


def loop(bench: Bench) -> dict[str, Any]:
    """Precision none and bf16, compiled and not."""
    return {
        f"{precision}{'_compiled' if compiled else ''}": bench.run(
            f"loop-{precision}-{compiled}", precision=precision, compile=compiled
        )
        for precision in ("none", "bf16")
        for compiled in (False, *([True] if torch.cuda.is_available() else []))
    }


def hrm_lm(bench: Bench) -> dict[str, Any]:
    """The other language recipe: precision none and bf16, and two lanes."""
    found = {}
    for name, plan in HRM.items():
        config = config_of(bench.updates, {**bench.hrm, **plan})
        data: Any = data_of(config)
        found[name] = bench.train(HRM_LM, config, data, f"hrm-{name}") | {"tokens_per_row": data.items_per_row}
    return found


HRM = {"none": {}, "bf16": {"train.precision": "bf16"}, "lanes_2": {"train.lanes": 2}}


def peers(bench: Bench) -> dict[str, Any]:
    """The bare loop, nanoGPT's shape, Stemma's, and those of Lightning and Hugging Face where these are there: seconds
    of each, in full precision on the CPU, where the bare loop runs.
    """
    config = bench.config(precision="none", device="cpu")
    data = MadeUpRows(config.model.context + 1)
    seconds = {
        "bare_s": bench.seconds(lambda: run_bare(config, data)),
        "nanogpt_shape_s": bench.seconds(lambda: run_nanogpt(config, data)),
        "stemma_s": bench.seconds(lambda: bench.run("peers", precision="none", device="cpu")),
    }
    for name, loop in (("lightning", run_lightning), ("transformers", run_hugging_face)):
        if importlib.util.find_spec(name):
            seconds[f"{name}_s"] = bench.seconds(lambda loop=loop: loop(config, data))
    return seconds


def batch_sizes(bench: Bench) -> dict[str, Any]:
    """One, four and sixteen times the rows of an update."""
    rows = bench.config().train.batch_rows
    return {str(n * rows): bench.run(f"rows-{n}", batch_rows=n * rows) for n in (1, 4, 16)}


def attention(bench: Bench) -> dict[str, Any]:
    """Torch's attention kernels, one allowed at a time; those that this machine or the model lacks say why."""
    found: dict[str, Any] = {}
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION):
        try:
            with sdpa_kernel(backend):
                found[backend.name] = bench.run(f"attention-{backend.name}")
        except RuntimeError as error:
            found[backend.name] = {"unavailable": str(error).splitlines()[0]}
    with sdpa_kernel(SDPBackend.MATH):
        return {**found, "MATH": bench.run("attention-math")}


def variants(bench: Bench) -> dict[str, Any]:
    """AdamW fused, over lists of tensors, and tensor by tensor."""
    kinds = {"fused": {}, "foreach": {"fused": False, "foreach": True}, "single": {"fused": False, "foreach": False}}
    return {name: bench.run(f"variant-{name}", **{"optimizer.kwargs": kwargs}) for name, kwargs in kinds.items()}


def graphs(bench: Bench) -> dict[str, Any]:
    """Seconds of so many forward and backward passes as kernels are launched, and as a CUDA graph replays them."""
    if not torch.cuda.is_available():
        return {"unavailable": "no CUDA device"}
    config = bench.config()
    tokens_BT = torch.zeros(config.train.batch_rows, config.model.context, dtype=torch.int64, device="cuda")
    seconds = {}
    for name in ("launched", "replayed"):
        model: Any = make_model(config).cuda()
        passes: Any = torch.cuda.make_graphed_callables(model, (tokens_BT,)) if name == "replayed" else model
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(bench.updates):
            passes(tokens_BT).sum().backward()
        torch.cuda.synchronize()
        seconds[name] = time.perf_counter() - begun
    return seconds


def overlap(bench: Bench) -> dict[str, Any]:
    """Batches made when they are asked for, and ahead by a thread: the same checkpoint."""
    found = {str(ahead): bench.run(f"ahead-{ahead}", World(ahead=ahead)) for ahead in (0, 2)}
    return {"ahead": found, "equal": len({each["id"] for each in found.values()}) == 1}


def order(bench: Bench) -> dict[str, Any]:
    """Seconds to find the rows of an update, of the first and of one ten million later."""
    config = bench.config()
    made = Order(0, MadeUpRows(config.model.context + 1).row_keys, config.train.batch_rows)
    seconds = {}
    for update in (0, 10**7):
        begun = time.perf_counter()
        made.batch(update)
        seconds[str(update)] = time.perf_counter() - begun
    return seconds


def optimizers(bench: Bench) -> dict[str, Any]:
    """Torch's own, fused."""
    return {name: bench.run(f"optimizer-{name}", **{"optimizer.name": name, "optimizer.kwargs": {}}) for name in OWN}


OWN = ("AdamW", "Adam", "SGD")


def bits(bench: Bench) -> dict[str, Any]:
    """The same run twice, once killed half-way and resumed; then by lanes, each twice."""

    class Cut(Callback):
        def step_end(self, run: Any) -> None:
            if run.update == bench.updates // 2:
                run.save()
                raise KeyboardInterrupt

    ids = {name: bench.run(f"bits-{name}")["id"] for name in ("once", "again")}
    try:
        bench.run("bits-cut", callbacks=(Cut(),))
    except KeyboardInterrupt:
        ids["resumed"] = bench.run("bits-cut")["id"]
    lanes = {n: {bench.run(f"bits-{n}-{time}", lanes=n)["id"] for time in (1, 2)} for n in (1, 2, 4)}
    return {"ids": ids, "equal": len(set(ids.values())) == 1, "lanes_equal": {n: len(i) == 1 for n, i in lanes.items()}}


def save(bench: Bench) -> dict[str, Any]:
    """A checkpoint every update, at its edge and behind the run, against none but the last."""
    often = bench.run("save-often", checkpoint_every=1, log_every=1)
    seldom = bench.run("save-seldom", checkpoint_every=bench.updates, log_every=1)
    behind = bench.run("save-behind", World(behind=True), checkpoint_every=1, log_every=1)
    return {"every_update": often, "every_update_behind": behind, "at_the_end": seldom}


STAGES: tuple[Callable[[Bench], dict[str, Any]], ...] = (
    environment, bits, loop, hrm_lm, batch_sizes, attention, peers, variants, optimizers, graphs, overlap, save, order,
)  # fmt: skip


def measure(
    bench: Bench, budget: float, out: Path, stages: Sequence[Callable[[Bench], Any]] = STAGES
) -> dict[str, Any]:
    """Every stage that ends within ``budget`` seconds; the document, as it lies in ``out/gpu.json``."""
    bench = replace(bench, deadline=time.monotonic() + budget)
    found: dict[str, Any] = {"budget_s": budget, "stages": {}, "skipped": [], "failed": {}}
    out.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        figures: dict[str, Any] = {}
        try:
            seconds = bench.seconds(lambda stage=stage, figures=figures: figures.update(stage(bench)))
            found["stages"][stage.__name__] = {"seconds": seconds, "figures": figures}
        except OutOfTime:
            found["skipped"].append(stage.__name__)
        except Exception as error:  # what one kernel or package cannot do is no reason to lose the other figures
            found["failed"][stage.__name__] = f"{type(error).__name__}: {error}"
        (out / "gpu.json").write_text(json.dumps(found, indent=2) + "\n")
    return found


def main() -> None:
    """Parse, measure, say what was skipped."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description="Measure what fits a budget of seconds."
    )
    parser.add_argument("--budget", type=float, default=540.0, help="seconds after which nothing goes on")
    parser.add_argument("--out", type=Path, required=True, help="folder of gpu.json")
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--tiny", action="store_true", help="a model of a few thousand parameters, for tests")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tiny: dict[str, Any] = {"changes": TINY, "hrm": TINY_HRM} if chosen.tiny else {"changes": {}, "hrm": {}}
        bench = Bench(updates=chosen.updates, folder=Path(folder), **tiny)
        found = measure(bench, chosen.budget, chosen.out)
    skipped, failed = (", ".join(found[key]) or "none" for key in ("skipped", "failed"))
    print(f"{len(found['stages'])} stages, skipped: {skipped}, failed: {failed}")


if __name__ == "__main__":
    main()
