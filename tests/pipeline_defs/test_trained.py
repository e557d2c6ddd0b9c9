"""Rows that come from two records each, a window and a variant: the steps of either record are named."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from pipeline_defs.answers.trained import TrainedRows

STEPS, BATCH = 6, 3


def record(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


WINDOWS = [record(f"window {row // 2}") for row in range(8)]
VARIANTS = [record(f"variant {row}") for row in range(8)]


@pytest.fixture(params=["hex", "bytes"])
def trained(store, request):
    """A checkpoint of six updates on eight rows."""

    def ids(records):
        return records if request.param == "hex" else [bytes.fromhex(r) for r in records]

    def rows(writer):
        columns = {"record_id_window": ids(WINDOWS), "record_id_variant": ids(VARIANTS)}
        keys = np.arange(8, dtype=np.uint64)
        writer.write_table("train.arrow", pa.table({"row_key": keys, **columns}))

    def facts(writer, table):
        order = {"seed": 5, "batch_rows": BATCH, "updates": STEPS}
        listed = [{"snapshot": table.id, "file": "train.arrow", "chunks": 0}]
        writer.write_json("training.json", {"order": {**order, "tables": listed}}, sidecar=True)

    made = {"module": "assets_data.lineage", "config": {}}
    table = store.run_stage(name="genome/rows", parents={}, build=rows, **made)
    parents = {"rows": table}
    return TrainedRows(
        store, store.run_stage(name="m/checkpoint", parents=parents, build=lambda w: facts(w, table), **made)
    )


@pytest.mark.parametrize("records", [WINDOWS, VARIANTS], ids=["window", "variant"])
def test_the_steps_of_each_record_are_those_whose_batches_have_a_row_of_it(trained, records):
    assert trained.holds_records()
    for wanted in set(records):
        rows = [row for row, one in enumerate(records) if one == wanted]
        assert list(trained.rows_of(bytes.fromhex(wanted))) == rows
        batches = {step: {r.row for r in trained.batch(step)} for step in range(1, STEPS + 1)}
        expected = [step for step, taken in batches.items() if taken & set(rows)]
        assert trained.uses(bytes.fromhex(wanted)) == expected


def test_a_row_names_both_its_records_and_an_unknown_record_has_no_row(trained):
    for row in trained.batch(1):
        assert row.records == {"record_id_window": WINDOWS[row.row], "record_id_variant": VARIANTS[row.row]}
        assert row.record == WINDOWS[row.row]
    assert trained.uses(bytes(32)) == []
