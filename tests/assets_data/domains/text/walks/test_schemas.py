import polars as pl
import pytest

from assets_data.domains.text.walks.config import RulesConfig
from assets_data.domains.text.walks.rules import plant_rules
from assets_data.domains.text.walks.schemas import (
    edges_schema,
    problems,
    rules_schema,
    schema_problems,
    vertices_schema,
    walks_schema,
)

from .graphs import sampler, skewed_graph

N, BLOCKS, LENGTH = 40, 3, 32


def frames() -> dict[str, pl.DataFrame]:
    graph = skewed_graph(0)
    rules = plant_rules(graph, RulesConfig(r=(3, 5)), LENGTH, 0).rules
    batch = sampler(graph, rules, LENGTH).draw("train", 0, 20)
    return {
        "vertices": pl.DataFrame(
            {
                "vertex": range(N),
                "token_id": range(10, 10 + N),
                "token": list(map(str, range(N))),
                "block": graph.blocks,
            },
            schema={"vertex": pl.UInt32, "token_id": pl.Int32, "token": pl.String, "block": pl.UInt16},
        ),
        "edges": pl.DataFrame(
            {"source": graph.sources, "target": graph.targets, "weight": graph.weights},
            schema={"source": pl.UInt32, "target": pl.UInt32, "weight": pl.Float64},
        ),
        "rules": pl.DataFrame(
            [(rule.vertex, rule.r, rule.target_block) for rule in rules],
            schema={"vertex": pl.UInt32, "r": pl.UInt32, "target_block": pl.UInt16},
            orient="row",
        ),
        "walks": pl.DataFrame(
            {"tokens": batch.walks, "row_key": range(20)},
            schema={"tokens": pl.Array(pl.UInt16, LENGTH), "row_key": pl.UInt64},
        ),
    }


SCHEMAS = {
    "vertices": vertices_schema(BLOCKS),
    "edges": edges_schema(N),
    "rules": rules_schema(N, BLOCKS, LENGTH),
    "walks": walks_schema(N, LENGTH),
}


@pytest.mark.parametrize("table", SCHEMAS)
def test_sound_tables_pass(table):
    assert problems(frames()[table], SCHEMAS[table]) == []


def test_a_published_corpus_passes(corpus):
    assert schema_problems(corpus) == []


@pytest.mark.parametrize(
    ("table", "change", "reason"),
    [
        ("vertices", lambda f: f.reverse(), "vertices are numbered from 0"),
        ("vertices", lambda f: f.with_columns(token_id=pl.lit(7, pl.Int32)), "a token is one vertex"),
        ("vertices", lambda f: f.with_columns(token_id=pl.lit(-2, pl.Int32)), "greater_than_or_equal_to(-1)"),
        ("vertices", lambda f: f.with_columns(pl.col("block") + 1), "less_than(3)"),
        ("vertices", lambda f: f.with_columns(block=pl.lit(0, pl.UInt16)), "every block has a vertex"),
        ("vertices", lambda f: f.drop("token"), "column_in_dataframe"),
        ("edges", lambda f: f.reverse(), "edges are sorted and distinct"),
        ("edges", lambda f: pl.concat([f[:1], f]), "edges are sorted and distinct"),
        ("edges", lambda f: f.with_columns(target="source"), "no self loops"),
        ("edges", lambda f: f.filter(pl.col("source") != 3), "no dead ends"),
        ("edges", lambda f: f.filter(pl.col("target") != 3), "no vertex without a way in"),
        ("edges", lambda f: f.with_columns(pl.col("weight") + 0.5), "weights are counts"),
        ("edges", lambda f: f.with_columns(pl.col("weight") * 0), "greater_than_or_equal_to(1)"),
        ("edges", lambda f: f.with_columns(pl.col("target") + 1), "less_than(40)"),
        ("rules", lambda f: pl.concat([f, f]), "field_uniqueness"),
        ("rules", lambda f: f.with_columns(r=pl.lit(LENGTH, pl.UInt32)), "in_range(1, 31)"),
        ("rules", lambda f: f.with_columns(r=pl.lit(0, pl.UInt32)), "in_range(1, 31)"),
        ("rules", lambda f: f.with_columns(pl.col("target_block") + 3), "less_than(3)"),
        ("rules", lambda f: f.clear(), "there is a rule"),
        (
            "walks",
            lambda f: f.with_columns(pl.col("tokens").arr.eval(pl.element() + 1, as_list=False)),
            "walks stay on",
        ),
        ("walks", lambda f: f.with_columns(pl.col("tokens").arr.to_list()), "dtype"),
    ],
)
def test_one_defect_is_named(table, change, reason):
    found = problems(change(frames()[table]), SCHEMAS[table])
    assert any(reason in line for line in found), found
