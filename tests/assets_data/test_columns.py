"""The check in one go: certain only where pandera finds nothing, and certain of what usually holds."""

import pandera.polars as pa
import polars as pl
import pytest

from assets_data.columns import column_failures, surely_holds

HELD = {"name": ["a", "b", "c"], "count": [1, 2, 3], "share": [0.5, None, 1.0]}


def schema(**changes):
    columns = {
        "name": pa.Column(pl.String, pa.Check.isin(("a", "b", "c", "d")), unique=True),
        "count": pa.Column(pl.Int64, [pa.Check.ge(0), pa.Check.le(9)]),
        "share": pa.Column(pl.Float64, nullable=True),
        "more": pa.Column(pl.String, required=False),
    }
    ordered = pa.Check(lambda data: data.lazyframe.select(pl.col("count").is_sorted()), name="counts are in order")
    return pa.DataFrameSchema(columns, **{"checks": ordered, "strict": True, **changes})


BROKEN = {
    "a value": {"name": ["a", "b", "e"]},
    "a value twice": {"name": ["a", "a", "c"]},
    "a bound": {"count": [1, 2, 10]},
    "the other bound": {"count": [-1, 2, 3]},
    "a null": {"count": [1, None, 3]},
    "a type": {"count": [1.0, 2.0, 3.0]},
    "a check of the table": {"count": [3, 2, 1]},
    "a column too many": {"other": [1, 2, 3]},
    "a value of a column that need not be": {"more": [1, 2, 3]},
}


@pytest.mark.parametrize("columns", [{}, {"more": ["x", "y", "z"]}, {"share": [0.1, 0.2, 0.3]}, {"count": [4, 4, 9]}])
def test_a_table_that_holds_is_known_for_it_without_pandera(columns):
    assert surely_holds(pl.DataFrame({**HELD, **columns}), schema())


@pytest.mark.parametrize("columns", BROKEN.values(), ids=BROKEN)
def test_what_breaks_a_schema_is_never_certain_to_hold_and_is_named(columns):
    frame = pl.DataFrame({**HELD, **columns})
    assert not surely_holds(frame, schema()) and column_failures("t", frame, schema())


def test_a_column_that_is_missing_is_named():
    assert column_failures("t", pl.DataFrame(HELD).drop("count"), schema())


def test_nan_counts_as_null():
    frame, filled = pl.DataFrame({"x": [1.0, float("nan")]}), pa.DataFrameSchema({"x": pa.Column(pl.Float64)})
    assert not surely_holds(frame, filled) and column_failures("t", frame, filled)


def test_a_check_that_says_nothing_is_left_to_pandera():
    silent = pa.Check(lambda data: data.lazyframe.select(pl.lit(None, pl.Boolean)), name="silent", ignore_na=False)
    assert not surely_holds(pl.DataFrame(HELD), schema(checks=silent))
    assert column_failures("t", pl.DataFrame(HELD), schema(checks=silent))


def test_a_check_that_raises_is_a_failure():
    broken = pa.Check(lambda data: data.lazyframe.select(pl.col("nowhere")), name="broken")
    assert column_failures("t", pl.DataFrame(HELD), schema(checks=broken))


@pytest.mark.parametrize("changes", [{"unique": ["count"]}, {"ordered": True}, {"strict": "filter"}, {"coerce": True}])
def test_a_schema_that_asks_for_more_is_left_to_pandera(changes):
    assert not surely_holds(pl.DataFrame(HELD), schema(**changes))
