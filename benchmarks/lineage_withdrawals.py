"""Random training records withdrawn from a finished chain, one at a time, against runs that never held them.

The chain is the smoke preset's: its texts, one file each, so that a folder without a record can be read from scratch,
and its recipe, trained for fewer updates. Every withdrawal begins from the same finished store. With learners kept, the
other run is given the same tokenizer and graph; with ``--learned rebuild`` it makes its own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store
from benchmarks.result import save
from benchmarks.withdrawal_chain import SHORTER, UPDATES, make_chain, write_texts
from benchmarks.withdrawal_truth import different, records_named, touched
from pipeline_defs.answers.withdrawal.apply import apply_plan
from pipeline_defs.answers.withdrawal.plan import KEEP, REBUILD, make_plan

LEARNERS = ("text/tokenizer", "text/walk_corpus")
LISTS = "text/drops"  # read a part of the duplicates: touched where that part is another one


@dataclass(frozen=True, slots=True)
class Finished:
    """The finished chain, the texts it was made from, and what a withdrawal is to do with the learners."""

    recipe: str
    learned: str
    root: Path
    store: Store
    chain: Mapping[str, Snapshot]
    files: Mapping[str, list[str]]

    def never(self, record: str) -> dict[str, Snapshot]:
        """The chain that never held the record, in a store of its own."""
        texts, store = _linked(self.root / "texts", self.root / "without"), Store(self.root / "never")
        for file in self.files[record]:
            (texts / file).unlink()
        shutil.rmtree(store.root, ignore_errors=True)
        kept = {name: self.chain[name] for name in LEARNERS if self.learned == KEEP}
        for snapshot in kept.values():
            shutil.copytree(snapshot.path, store.snapshot_path(snapshot.id))
        return make_chain(store, self.recipe, texts, kept)

    def withdraw(self, record: str) -> dict[str, float]:
        """Carry out one withdrawal on a copy of the store; what was as it should be, and what was not, counted."""
        copy, checkpoint = Store(_linked(self.store.root, self.root / "copy")), f"{self.recipe}/checkpoint"
        began = time.perf_counter()
        plan = make_plan(copy, {bytes.fromhex(record)}, self.learned)
        planned = time.perf_counter()
        moved = apply_plan(copy, plan)
        applied = time.perf_counter()
        never = self.never(record)
        seconds = {"plan_s": planned - began, "apply_s": applied - planned, "never_s": time.perf_counter() - applied}
        after, begun = {name: copy.pointed(name) for name in self.chain}, moved[checkpoint]["from_step"]
        how = "the_beginning" if not begun else "the_last_state" if begun == UPDATES else "a_state_between"
        named = {copy.pointed(name).path for name in copy.all_names()}
        same = {name for name, one in self.chain.items() if _kind(name) == LISTS and never[name].id == one.id}
        truth = touched(self.store, record, {self.chain[name].id for name in same})
        affected = set(plan.reach.effects)
        remade = {name for name in plan.remake if not name.startswith("pins/")}  # a pinned tokenizer has a name too
        must = different(self.chain, never) - same
        return {
            "bit_equal_checkpoints": after[checkpoint].id == never[checkpoint].id,
            "checkpoints_that_changed": after[checkpoint].id != self.chain[checkpoint].id,
            f"trained_from_{how}": True,
            "trained_from_an_earlier_state_than_planned": begun < plan.restarts[checkpoint]["clean_step"],
            "updates_not_done_again": begun,
            "affected_nodes": len(truth),
            "affected_nodes_missed": len(truth - affected),
            "affected_nodes_surplus": len(affected - truth),
            "names_to_make_again": len(must),
            "names_missed": len(must - remade),
            "names_surplus": len(remade - must),
            "named_nodes_that_still_hold_it": sum(record in records_named(path) for path in named),
            "plans_asked_again_that_are_not_empty": bool(make_plan(copy, plan.records, self.learned).remake),
            **{f"other_id_than_never {_kind(name)}": True for name in after if after[name].id != never[name].id},
            **seconds,
        }


def measure(recipe: str, learned: str, count: int, seed: int) -> dict[str, Any]:
    """Sums over ``count`` withdrawals, and the seconds of one as a mean."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = write_texts(Store(root / "library"), root / "texts")
        store = Store(root / "store")
        chain = make_chain(store, recipe, root / "texts", {})
        for name, snapshot in chain.items():
            store.point(name, snapshot)
        finished = Finished(recipe, learned, root, store, chain, files)
        triples = [snapshot for name, snapshot in chain.items() if name.startswith("text/triples/")]
        trained = sorted({i for s in triples for i in s.table("train.arrow")["record_id"].to_pylist()})
        total = Counter[str]()
        for number, record in enumerate(random.Random(seed).sample(trained, count), start=1):
            with contextlib.redirect_stdout(io.StringIO()):  # what training says
                total.update(finished.withdraw(record))
            print(f"{number}: {dict(total)}", file=sys.stderr, flush=True)
        for snapshot in chain.values():
            snapshot.verify(deep=True)  # the copies shared its files
    means = {f"mean_{name}": round(total.pop(name) / count, 2) for name in ("plan_s", "apply_s", "never_s")}
    rows = sum(snapshot.content["splits"]["train"] for snapshot in triples)
    facts = {"records_in_training": len(trained), "training_rows": rows, "names": len(chain)}
    return {"recipe": recipe, "learners": learned, "withdrawals": count, **facts, **SHORTER, **total, **means}


def _linked(source: Path, target: Path) -> Path:
    """A copy by hard links: nothing in a store is written to in place."""
    shutil.rmtree(target, ignore_errors=True)
    return shutil.copytree(source, target, copy_function=os.link)


def _kind(name: str) -> str:
    return "/".join(name.split("/")[:2])


def main() -> None:
    """Withdraw and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="hrm_lm", choices=["hrm_lm", "walk_lm"])
    parser.add_argument("--learned", default=KEEP, choices=[KEEP, REBUILD])
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    figures = measure(options.recipe, options.learned, options.records, options.seed)
    variant = options.recipe if options.learned == KEEP else f"{options.recipe}_{REBUILD}"
    save("lineage_withdrawals", ["torch", "numpy", "pyarrow", "polars", "tokenizers"], figures, variant=variant)


if __name__ == "__main__":
    main()
