"""Words found in whatever columns of text stand beside a record's id."""

import hashlib

import pyarrow as pa
import pytest

from assets_data.lineage import IntegrityError, Store
from assets_data.lineage.queries.said import find_said

NAMES = ("a donor called D1", "D12", "", "the stone")
IDS = [hashlib.sha256(bytes([row])).digest() for row in range(len(NAMES))]
COLUMNS = {
    "strings": (pa.array([record.hex() for record in IDS]), pa.array(NAMES, pa.string())),
    "large": (pa.array(IDS, pa.binary()), pa.array(NAMES, pa.large_string())),
}


def snapshot_of(root, names, suffix="parquet"):
    ids, column = COLUMNS[names]
    table = pa.table({"record_id": ids, "number": pa.array(range(len(IDS))), "donor": column})

    def build(writer):
        writer.write_table(f"records.{suffix}", table)

    return Store(root).run_stage(name="toy/raw_slice", module=__name__, config={}, parents={}, build=build)


@pytest.mark.parametrize("names", COLUMNS)
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_record_is_found_by_what_any_column_of_text_says(tmp_path, names, suffix):
    snapshots = [snapshot_of(tmp_path, names, suffix)]
    assert find_said(snapshots, "D1") == {
        IDS[0]: (f"toy/raw_slice records.{suffix}", "donor=a donor called D1"),
        IDS[1]: (f"toy/raw_slice records.{suffix}", "donor=D12"),
    }
    assert set(find_said(snapshots, "D12")) == {IDS[1]}
    assert find_said(snapshots, "d1") == find_said(snapshots, "[D]1") == {}


def test_an_id_is_no_text_that_is_searched(tmp_path):
    assert find_said([snapshot_of(tmp_path, "strings")], IDS[0].hex()[:8]) == {}


def test_what_is_found_was_published(tmp_path):
    snapshot = snapshot_of(tmp_path, "strings")
    path = snapshot.file("records.parquet")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(IntegrityError, match="SNAPSHOT_FILE_SIZE"):
        find_said([snapshot], "D1")
