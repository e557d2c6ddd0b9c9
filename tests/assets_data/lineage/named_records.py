"""Small stages whose rows name records, one each or several: what withdrawals and queries are tried on."""

import hashlib

import pyarrow as pa

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.identity.record_ids import record_columns
from tests.assets_data.lineage.mini_chain import MODULE, MiniConfig


def record(name: str) -> bytes:
    """A record's digest."""
    return hashlib.sha256(name.encode()).digest()


def column(names: list[str], binary: bool = False) -> pa.Array:
    """Their ids, as 64 hex characters or as 32 bytes."""
    ids = [record(name) for name in names]
    return pa.array(ids, pa.binary()) if binary else pa.array([one.hex() for one in ids], pa.string())


def make_rows(
    store: Store, kind: str, tables: dict[str, pa.Table], parents: dict | None = None, **arguments
) -> Snapshot:
    """A snapshot of ``kind`` with these tables."""

    def build(writer):
        named = []
        for name, table in tables.items():
            writer.write_table(name, table)
            named += [table[c].to_pylist() for c in record_columns(table.column_names)]
        writer.write_json("notes.json", {"made": "by hand"})
        writer.write_json("facts.json", {"rows": 1}, sidecar=True)
        writer.records({one if isinstance(one, bytes) else bytes.fromhex(one) for ids in named for one in ids})

    arguments = {"slice": kind.replace("/", "-"), **arguments}
    return store.run_stage(
        name=kind, module=MODULE, config=MiniConfig(), parents=parents or {}, arguments=arguments, build=build
    )


def pairs(windows: list[str], variants: list[str], *, binary: bool = False) -> pa.Table:
    """A row comes from a window and a variant."""
    ids = {"record_id_window": column(windows, binary), "record_id_variant": column(variants)}
    return pa.table({**ids, "value": list(range(len(windows)))})
