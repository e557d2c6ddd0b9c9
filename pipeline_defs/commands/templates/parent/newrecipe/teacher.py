"""The teacher_table stage: what newparent's checkpoint predicts for every row, made once and read in every epoch.

A table that a model makes is a stage of the recipe that reads it. It names the record of each of its rows, so that a
withdrawal finds it; and it has the checkpoint as a parent, so that whatever that learned from is an ancestor of this.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, SnapshotWriter, Store, from_recorded
from assets_data.stage import ROWS, Check, One, Outcome, Stage
from newdomain.read import SPLITS, Rows, open_slices
from newparent import RECIPE as TEACHER

PREFIX = "teacher_"  # before the names of what the teacher itself reads
TEACHER_TABLE = Stage(
    kind="newrecipe/teacher_table",
    make="newrecipe.teacher:make_teacher_table",
    says="What newparent's checkpoint predicts for every row, with the row's record.",
    inputs={
        "manifest": One("newdomain/dataset_manifest"),
        "teacher": One("newparent/checkpoint"),
        **{f"{PREFIX}{name}": given for name, given in TEACHER.inputs.items()},
    },
    learns=ROWS,
    unchecked="its one column of numbers is covered by the check",
    checks=(
        Check(
            name="finite",
            run="newrecipe.teacher:check_finite",
            says="Every prediction is a finite number.",
        ),
    ),
    tags=("pytorch", "arrow"),
)


def make_teacher_table(store: Store, inputs: Mapping[str, Snapshot]) -> Snapshot:
    """Publish (or reuse) a table per split, ``train.arrow`` and so on: record_id, row_key, prediction."""
    slices = open_slices(store, inputs["manifest"])
    return store.run_stage(
        name="newrecipe/teacher_table",
        module=__name__,
        config={},
        parents={**inputs, **{f"rows/{name}": snapshot for name, snapshot in slices.items()}},
        build=lambda writer: _build(writer, store, inputs),
    )


def _build(writer: SnapshotWriter, store: Store, inputs: Mapping[str, Snapshot]) -> None:
    from training.environment import reproducible
    from training.stages import load_model

    teacher = inputs["teacher"]
    own = {name.removeprefix(PREFIX): given for name, given in inputs.items() if name.startswith(PREFIX)}
    config = from_recorded(TEACHER.config_type, teacher.read_json("config.json"))
    data = TEACHER.open_data(store, own, config)
    with reproducible(config.train) as device:
        predicted = TEACHER.predict(load_model(TEACHER, teacher).to(device), data)
    rows: dict[str, Rows] = {"train": data, "validation": data.validation, "test": data.test}
    for split in SPLITS:
        columns = {"record_id": list(rows[split].records), "row_key": rows[split].row_keys}
        writer.write_table(f"{split}.arrow", pa.table({**columns, "prediction": predicted[split]}))
        writer.splits[split] = len(rows[split].row_keys)
    writer.records([record for split in SPLITS for record in rows[split].records])


def check_finite(_store: Store, table: Snapshot) -> Outcome:
    """Every prediction is a finite number."""
    predicted = {split: table.table(f"{split}.arrow")["prediction"].to_numpy() for split in SPLITS}
    wrong = {split: int((~np.isfinite(predicted_N)).sum()) for split, predicted_N in predicted.items()}
    return Outcome(passed=not any(wrong.values()), facts=wrong)
