"""A donor taken out of a trained chain, against a run that never held it; and what a condition names."""

from argparse import Namespace

import pytest

from assets_data.lineage import DataError, Store
from benchmarks.cell_withdrawals import make_chain, one, write_files
from pipeline_defs.answers.withdrawal.command import chosen_records
from tests.cells_dataset import make_cells


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("cells")
    write_files(base / "files")
    make_chain(Store(base / "store"), base / "files")
    return base


@pytest.mark.parametrize("column", ["donor"])
def test_no_count_of_a_donor_stays_and_the_checkpoint_is_that_of_a_run_without(base, column):
    outcome = one(base, column, "D6")
    assert outcome["records"] == outcome["counts_looked_for"] == 20 and outcome["checkpoints_that_changed"]
    assert outcome["bit_equal_checkpoints"] and outcome["live_snapshots_that_still_hold_something"] == 0


def asked(**changes):
    return Namespace(**{"records": [], "group": [], "where": [], "only_these": False, **changes})


def test_a_condition_names_the_cells_of_which_the_source_says_so(tmp_path):
    store = Store(tmp_path)
    raw, _, _ = make_cells(store)
    tables = [snapshot.table("cells.parquet").to_pylist() for snapshot in raw.values()]
    for column, value in (("donor", "D3"), ("batch", "B1"), ("label", "T0"), ("cell", "sim-0-0000007")):
        expected = {bytes.fromhex(row["record_id"]) for table in tables for row in table if row[column] == value}
        assert expected and chosen_records(store, asked(where=[f"{column}={value}"]))[0] == expected
    group, _ = chosen_records(store, asked(group=["D3"]))
    assert group == chosen_records(store, asked(where=["donor=D3"]))[0]
    for wrong in ("donor=D99", "nowhere=D3", "donor", "=D3"):
        with pytest.raises(DataError, match="WHERE_UNKNOWN"):
            chosen_records(store, asked(where=[wrong]))


def test_who_is_the_same_cell_under_another_name_goes_too(tmp_path, counts):
    import numpy as np
    import scipy.sparse as sp

    from tests.assets_data.domains.cells import files

    files.write_h5ad(tmp_path / "one.h5ad", sp.csr_matrix(np.vstack([counts, counts[:2]])))
    raw = files.raw(tmp_path, "one")
    store = Store(tmp_path / "store")
    repeat = raw.table("repeats.parquet").to_pylist()[0]
    records, alike = chosen_records(store, asked(records=[repeat["record_id"]]))
    kept = [r["record_id"] for r in raw.table("cells.parquet").to_pylist() if r["content_id"] == repeat["content_id"]]
    assert {r.hex() for r in alike} == set(kept) and {r.hex() for r in records} == {repeat["record_id"], *kept}
