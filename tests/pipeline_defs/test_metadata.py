"""What the UI is given: complete, and with data shown as text, never rendered."""

import pyarrow as pa
import pytest

from assets_data.lineage import Snapshot
from pipeline_defs.metadata import describe, escape, markdown_table, published
from tests.assets_data.lineage.stages import CountConfig, make_counts


def test_every_fact_the_field_expects_is_there(store):
    parent = make_counts(store, CountConfig(rows=2))
    snapshot = make_counts(store, CountConfig(), parents=[parent])
    facts = describe(snapshot)
    assert facts["id"] == snapshot.id and facts["rows"] == 100 and facts["bytes"] == snapshot.bytes
    assert facts["parents"].data == [["upstream=test/counts", parent.id]]
    assert facts["config"].data == {"rows": 100, "start": 0}
    assert facts["receipt"].path == str(snapshot.receipt)
    assert {"commit", "dirty", "duration_s", "rows_per_s", "preview", "reused"} <= set(facts)
    assert "| value |" in facts["preview"].md_str
    assert published(snapshot).data_version.value == snapshot.id


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "![x](http://127.0.0.1/x.png)",
        "\x1b[31mred",
        "a|b\nc",
        "`code`",
    ],
)
def test_s15_names_and_rows_are_shown_as_text(hostile):
    shown = markdown_table(pa.RecordBatch.from_pydict({hostile: [hostile]}))
    assert len(shown.splitlines()) == 3  # no cell ends its row
    for mark in ("<script", "](", "\x1b"):
        assert mark not in shown.replace("\\", "") or f"\\{mark[0]}" in shown
    assert "\x1b" not in shown
    unescaped = [i for i, c in enumerate(shown.splitlines()[2]) if c == "|" and shown.splitlines()[2][i - 1] != "\\"]
    assert len(unescaped) == 2


def test_long_cells_are_cut_with_a_mark():
    assert len(escape("x" * 500)) <= 61 and escape("x" * 500).endswith("…")


def test_a_snapshot_without_tables_has_no_preview(store):
    def build(writer):
        writer.write_json("only.json", {"a": 1})

    snapshot: Snapshot = store.run_stage(
        name="test/json", module="assets_data.lineage.store", config=CountConfig(), parents={}, build=build
    )
    assert "preview" not in describe(snapshot) and describe(snapshot)["rows"] == 0
