"""newdomain keeps the contract of domains, and refuses files that it cannot read."""

import pytest

from assets_data.lineage import DataError, Store
from newdomain.config import SourceConfig
from newdomain.raw_slice import make_raw_slice
from newdomain.source import parse
from pipeline_defs.contract import domain_problems


def test_the_domain_keeps_the_contract(tmp_path):
    assert domain_problems("newdomain", tmp_path) == []


@pytest.mark.parametrize(
    "data",
    [
        b"a,y\n1,2\n",
        b"group,a,y\ng0,1\n",
        b"group,a,y\ng0,1,2,3\n",
        b"group,a,y\ng0,one,2\n",
        b"group,a,y\ng0,nan,2\n",
        b"group,a,y\n,1,2\n",
        b"group,a,a\ng0,1,2\n",
        b"group,a,y\n\xff,1,2\n",
        b"",
    ],
)
def test_a_file_that_says_something_else_is_refused(data):
    with pytest.raises(DataError, match="NEWDOMAIN_CSV"):
        parse(data, "a file")


def test_a_row_that_is_there_twice_is_one_record_and_counted(tmp_path):
    (tmp_path / "one.csv").write_text("group,a,y\ng0,1,2\ng0,1.0,2\ng1,1,2\n")
    raw = make_raw_slice(Store(tmp_path / "store"), "one", SourceConfig(root=str(tmp_path)))
    assert {name: raw.stats[name] for name in ("read", "duplicate", "rows")} == {"read": 3, "duplicate": 1, "rows": 2}
    assert raw.content["records"]["count"] == 2
