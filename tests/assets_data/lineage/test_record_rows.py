"""Records to rows: the index says what the tables say, for every shape of table, whatever happens to the index."""

import random
import resource
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets_data.lineage import IntegrityError, Snapshot, canonical_json, digest_file
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.identity.record_ids import table_records
from assets_data.lineage.storage import record_rows as module
from assets_data.lineage.storage.record_index import BLOCK, find_rows, write_index
from assets_data.lineage.storage.record_rows import keep_index, record_rows, record_splits, records_held
from tests.assets_data.lineage.stages import CountConfig

ROWS = 3 * BLOCK + 17


def ids_of(shape, rows=ROWS, seed=0):
    """uint8[rows, 32]."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 256, (rows, 32), np.uint8)
    if shape == "each often":
        ids = ids[rng.integers(0, rows // 7 + 1, rows)]
    elif shape == "one fills blocks":
        ids[rng.permutation(rows)[: 2 * BLOCK]] = ids[0]
    elif shape == "all the same":
        ids[:] = ids[0]
    elif shape == "the first eight bytes the same":
        ids[:, :8] = 7
    elif shape == "long runs of the first eight bytes":
        ids[:, :8] = 0
        ids[:, 7] = np.arange(rows) // 1000
    elif shape == "zeros at the end":
        ids[:, 1:] = 0
        ids[:, 1:3] = rng.integers(0, 3, (rows, 2))
    elif shape == "zeros and ones":
        ids[: rows // 2], ids[rows // 2 :] = 0, 255
    return ids


SHAPES = [
    "all different", "each often", "one fills blocks", "all the same", "the first eight bytes the same",
    "long runs of the first eight bytes", "zeros at the end", "zeros and ones",
]  # fmt: skip


@pytest.mark.parametrize("rows", [1, BLOCK - 1, BLOCK, BLOCK + 1, ROWS])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_record_is_found_at_all_of_its_rows_and_nothing_else(tmp_path, shape, rows):
    ids = ids_of(shape, rows)
    note = write_index(tmp_path / "x.ids", ids)
    where: dict[bytes, list[int]] = {}
    for row, record in enumerate(ids):
        where.setdefault(record.tobytes(), []).append(row)
    rng, held = random.Random(1), list(where)
    absent = [rng.randbytes(32) for _ in range(20)] + [b"\0" * 32, b"\xff" * 32, held[0][:-1] + b"\x01"]
    for record in [*rng.sample(held, min(40, len(held))), min(held), max(held), *absent]:
        assert find_rows(tmp_path / "x.ids", note, sorted_records([record])).tolist() == where.get(record, [])
    many = rng.sample(held, min(300, len(held))) + absent
    expected = sorted(row for record in set(many) for row in where.get(record, []))
    assert find_rows(tmp_path / "x.ids", note, sorted_records(many)).tolist() == expected


@pytest.mark.parametrize("rows", [0, BLOCK, ROWS])
def test_no_byte_of_what_is_read_can_be_another(tmp_path, rows):
    ids, path, rng = ids_of("all different", max(rows, 1))[:rows], tmp_path / "x.ids", random.Random(2)
    note, data = write_index(path, ids), (tmp_path / "x.ids").read_bytes()
    everything = sorted_records(ids) if rows else sorted_records([b"\1" * 32])
    for damaged in [
        *(flipped(data, rng.randrange(len(data))) for _ in range(60 if data else 0)),
        data[:-1],
        data + b"x",
    ]:
        if damaged != data:
            path.write_bytes(damaged)
            with pytest.raises(IntegrityError) as error:
                find_rows(path, note, everything)
            assert error.value.code == "INDEX_BROKEN"


def flipped(data, at):
    changed = bytearray(data)
    changed[at] ^= 1 << (at % 8)
    return bytes(changed)


def test_a_question_reads_the_head_and_the_blocks_that_may_hold_the_record(tmp_path, monkeypatch):
    """Counted in blocks, as the answer must not depend on how many there are."""
    from assets_data.lineage.storage import record_index

    read = []
    one = record_index._read_block

    def counted(file, rows, number, digest):
        read.append(number)
        return one(file, rows, number, digest)

    monkeypatch.setattr(record_index, "_read_block", counted)
    ids = ids_of("all different", 40 * BLOCK)
    note = write_index(tmp_path / "x.ids", ids)
    for record in ids[:50]:
        read.clear()
        assert len(find_rows(tmp_path / "x.ids", note, sorted_records(record[None]))) == 1
        assert len(read) <= 2


def publish(store, ids, split=None, kind="test/records"):
    text = [row.tobytes().hex() for row in ids]
    columns = {"record_id": text, **({"split": split} if split else {})}

    def build(writer):
        writer.write_table("records.parquet", pa.table(columns))
        packed = pa.array([bytes(row) for row in ids], pa.binary())
        writer.write_table("rows.arrow", pa.table({"record_id": packed, "n": range(len(ids))}))
        writer.write_table("few.arrow", pa.table({"record_id": text[:5]}))
        writer.write_table("other.arrow", pa.table({"n": range(BLOCK * 2)}))
        writer.write_json("notes.json", {"rows": 3, "columns": {"record_id": "no table"}})

    config, stage = CountConfig(rows=len(ids)), "assets_data.lineage.storage.store"
    return store.run_stage(name=kind, module=stage, config=config, parents={}, build=build)


def brute(snapshot, records):
    found = {}
    for name in ("few.arrow", "records.parquet", "rows.arrow"):
        rows = [n for n, record in enumerate(table_records(snapshot.file(name))) if record.tobytes() in records]
        found |= {name: rows} if rows else {}
    return found


@pytest.fixture
def ids():
    return ids_of("each often", 2 * BLOCK)


@pytest.fixture
def snapshot(store, ids):
    return publish(store, ids)


def place(snapshot):
    return snapshot.path.parents[1] / "cache" / "records" / snapshot.path.name


def agree(snapshot, ids):
    for records in ({ids[3].tobytes()}, {ids[0].tobytes(), ids[77].tobytes(), b"\0" * 32}, {b"\0" * 32}):
        expected = brute(snapshot, records)
        assert {name: rows.tolist() for name, rows in record_rows(snapshot, records).items()} == expected
        assert records_held(snapshot, records) == {name: len(rows) for name, rows in expected.items()}


def test_the_index_is_there_as_soon_as_the_snapshot_is_and_of_large_tables_only(snapshot, ids):
    assert {path.name for path in place(snapshot).glob("*.ids")} == {"records.ids", "rows.ids"}
    agree(snapshot, ids)


def test_the_answer_comes_from_the_index_and_not_from_the_table(snapshot, ids):
    expected = brute(snapshot, {ids[9].tobytes()})
    for name in ("records.parquet", "rows.arrow"):
        snapshot.file(name).unlink()
    assert {n: r.tolist() for n, r in record_rows(snapshot, {ids[9].tobytes()}).items()} == expected


@pytest.mark.parametrize("name", ["records.ids", "records.json", "rows.ids", "rows.json"])
@pytest.mark.parametrize("how", ["lost", "empty", "flipped", "cut", "of another snapshot"])
def test_whatever_happens_to_the_index_the_answer_is_the_same(store, snapshot, ids, name, how):
    path = place(snapshot) / name
    data = path.read_bytes()
    if how == "lost":
        path.unlink()
    elif how == "of another snapshot":
        other = publish(store, ids_of("all different", 2 * BLOCK + 5), kind="test/other")
        shutil.copyfile(place(other) / name, path)
    else:
        path.write_bytes({"empty": b"", "flipped": flipped(data, len(data) - 40), "cut": data[: len(data) // 2]}[how])
    agree(snapshot, ids)
    assert Snapshot.open(snapshot.path).id == snapshot.id
    agree(snapshot, ids)


def test_without_the_folder_nothing_is_lost_and_the_first_question_makes_it_again(snapshot, ids):
    shutil.rmtree(place(snapshot).parent)
    agree(snapshot, ids)
    assert len(list(place(snapshot).glob("*.ids"))) == 2


def test_where_nothing_can_be_kept_the_tables_are_read(snapshot, ids):
    shutil.rmtree(place(snapshot))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        agree(snapshot, ids)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(place(snapshot).glob("*"))


def test_a_snapshot_outside_a_store_is_answered_from_its_tables(snapshot, ids, tmp_path):
    shutil.copytree(snapshot.path, tmp_path / "copy")
    agree(Snapshot.open(tmp_path / "copy"), ids)
    assert not (tmp_path / "cache").exists()


def test_a_table_that_changed_gets_no_index_and_one_that_was_listed_anew_gets_its_own(snapshot, ids):
    turned = pa.table({"record_id": [row.tobytes().hex() for row in ids[::-1]]})
    shutil.rmtree(place(snapshot))
    pq.write_table(turned, snapshot.file("records.parquet"))
    with pytest.raises(IntegrityError, match="SNAPSHOT_FILE_"):
        record_rows(snapshot, {ids[3].tobytes()})
    listed = snapshot.path / "snapshot.json"
    document = {"content": snapshot.content, "id": snapshot.id, "stats": snapshot.stats, "files": dict(snapshot.files)}
    path = snapshot.file("records.parquet")
    document["files"]["records.parquet"] |= {"bytes": path.stat().st_size, "sha256": digest_file(path)}
    listed.write_bytes(canonical_json(document))
    agree(Snapshot.open(snapshot.path), ids)


@pytest.mark.parametrize("rows", [50, 2 * BLOCK])
def test_the_splits_are_those_of_the_rows(store, rows, monkeypatch):
    ids, names = ids_of("each often", rows), ("train", "validation", "test")
    split = [names[int(record[0]) % 3] for record in ids]
    snapshot = publish(store, ids, split)
    rng = random.Random(3)
    for _ in range(20):
        chosen = rng.sample(range(rows), 2)
        assert record_splits(snapshot, {ids[n].tobytes() for n in chosen}) == {split[n] for n in chosen}
    assert record_splits(snapshot, {b"\0" * 32}) == set()


def test_a_table_of_many_row_groups_gives_the_right_rows(tmp_path):
    from assets_data.lineage.identity.tables import take_values

    values = [f"v{n}" for n in range(1000)]
    pq.write_table(pa.table({"v": values}), tmp_path / "a.parquet", row_group_size=70)
    rows = np.array([0, 69, 70, 71, 500, 999])
    assert take_values(tmp_path / "a.parquet", "v", rows) == [values[n] for n in rows]
    assert take_values(tmp_path / "a.parquet", "v", rows[:0]) == []


def test_an_index_is_kept_for_every_stage_that_publishes_and_a_reused_one_is_not_made_again(store, ids, monkeypatch):
    publish(store, ids)
    monkeypatch.setattr(module, "write_index", lambda *arguments: pytest.fail("made again"))
    again = publish(store, ids)
    assert again.reused
    keep_index(again)
    agree(again, ids)
