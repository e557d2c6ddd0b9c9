"""The benchmark for a card, on a CPU at a tiny size: what it answers, what it skips, and what it needs."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu import STAGES, TINY, Bench, environment, measure
from benchmarks.gpu_hrm import TINY as TINY_HRM


def test_every_stage_answers_and_equal_runs_are_found_equal(tmp_path):
    found = measure(Bench(updates=4, changes=TINY, hrm=TINY_HRM, folder=tmp_path / "runs"), 600.0, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "gpu.json").read_text()).keys() == found.keys()
    assert found["skipped"] == [] and found["failed"] == {}
    assert list(found["stages"]) == [stage.__name__ for stage in STAGES]
    bits = found["stages"]["bits"]["figures"]
    assert set(bits["ids"]) == {"once", "again", "resumed"} and bits["equal"] and all(bits["lanes_equal"].values())
    ids = {name: figures["id"] for name, figures in found["stages"]["optimizers"]["figures"].items()}
    assert len(set(ids.values())) == len(ids) == 3
    figures = {name: stage["figures"] for name, stage in found["stages"].items()}
    assert figures["overlap"]["equal"] and set(figures["overlap"]["ahead"]) == {"0", "2"}
    assert len({each["id"] for each in figures["save"].values()}) == 1  # when it is saved changes no bit
    hrm = figures["hrm_lm"]
    assert set(hrm) == {"none", "bf16", "lanes_2"} and len({each["id"] for each in hrm.values()}) == 3
    assert all(each["inexact"] == [] and each["tokens_per_row"] == 16 for each in hrm.values())
    assert set(figures["batch_sizes"]) == {"8", "32", "128"}
    assert all("id" in each or each["unavailable"] for each in figures["attention"].values())
    assert "id" in figures["attention"]["MATH"]


def test_what_the_budget_does_not_reach_is_named(tmp_path):
    found = measure(Bench(updates=4, changes=TINY, hrm=TINY_HRM, folder=tmp_path / "runs"), 0.0, tmp_path / "out")
    assert found["stages"] == {} and found["skipped"] == [stage.__name__ for stage in STAGES]


def test_a_stage_that_fails_or_in_which_the_budget_ends_ends_no_other(tmp_path):
    def broken(bench):
        raise RuntimeError("no such kernel")

    def endless(bench):
        return bench.run("endless")

    bench = Bench(updates=10**6, changes=TINY, hrm=TINY_HRM, folder=tmp_path / "runs")
    found = measure(bench, 2.0, tmp_path / "out", [broken, environment, endless])
    assert found["failed"] == {"broken": "RuntimeError: no such kernel"}
    assert list(found["stages"]) == ["environment"] and found["skipped"] == ["endless"]
    assert json.loads((tmp_path / "out" / "gpu.json").read_text()) == found


def test_it_needs_neither_dagster_nor_polars():
    code = "import sys, benchmarks.gpu; print(*{'dagster', 'polars', 'pandera'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == [], done.stderr
