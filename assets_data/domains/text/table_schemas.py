"""The pandera schema of every table and JSON file of the text domain, on whole columns; each is made once."""

from __future__ import annotations

import functools

import pandera.polars as pa
import polars as pl

from assets_data.domains.text.drops import DROP_REASONS
from assets_data.domains.text.quality_summary import MEASURES, SLICES_SCHEMA
from assets_data.domains.text.raw_slice import LEFT_OUT, record_id
from assets_data.domains.text.read import SPLITS
from assets_data.domains.text.tokenizer import BOS, EOS, PAD
from assets_data.domains.text.triples import DROPPED
from assets_data.lineage.storage.tombstones import WITHDRAWN

_HEX = pa.Check.str_matches(r"^[0-9a-f]{64}$")
_DIGEST = pa.Check.str_matches(r"^sha256:[0-9a-f]{64}$")
_FILLED = pa.Check.str_length(min_value=1)


@functools.cache
def raw_records_schema() -> pa.DataFrameSchema:
    """Raw records: an id that is the digest of prompt and text, a known split or none, an origin inside its part."""
    return pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX),
            "text": pa.Column(pl.String),
            "prompt": pa.Column(pl.String),
            "split": pa.Column(pl.String, pa.Check.isin(("", *SPLITS))),
            "origin": pa.Column(pl.String, _FILLED),
            "part": pa.Column(pl.String, _FILLED),
            "carried": pa.Column(pl.String, _FILLED, required=False),
        },
        checks=[
            _each(pl.col("origin").str.starts_with(pl.col("part") + "#"), "the origin lies in the part"),
            _each(pl.col("record_id") == _record_ids(), "the record id is the digest of prompt and text"),
        ],
        strict=True,
    )


@functools.cache
def parts_schema() -> pa.DataFrameSchema:
    """The files a raw slice was read from."""
    return pa.DataFrameSchema(
        {
            "origin": pa.Column(pl.String, _FILLED, unique=True),
            "bytes": pa.Column(pl.Int64, pa.Check.ge(0)),
            "sha256": pa.Column(pl.String, _DIGEST),
            **{name: pa.Column(pl.Int64, pa.Check.ge(0)) for name in ("records", *LEFT_OUT)},
            WITHDRAWN: pa.Column(pl.Int64, pa.Check.ge(1), nullable=True, required=False),
        },
        strict=True,
    )


@functools.cache
def cleaned_schema() -> pa.DataFrameSchema:
    """Documents of a slice: each record and each text once, in a known split, and none of them empty."""
    return pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX, unique=True),
            "text_id": pa.Column(pl.String, _HEX, unique=True),
            "origin": pa.Column(pl.String, _FILLED),
            "split": pa.Column(pl.String, pa.Check.isin(SPLITS)),
            "prompt": pa.Column(pl.String),
            "text": pa.Column(pl.String, _FILLED),
        },
        strict=True,
    )


@functools.cache
def repeats_schema() -> pa.DataFrameSchema:
    """Records whose text an earlier record of the slice has."""
    return pa.DataFrameSchema({name: pa.Column(pl.String, _HEX) for name in ("record_id", "text_id")}, strict=True)


@functools.cache
def index_schema() -> pa.DataFrameSchema:
    """What documents are called: digests of 32 bytes (here in hex, bytes that fail could not be shown), in the order of
    the texts.
    """
    digest = pa.Column(pl.String, _HEX)
    return pa.DataFrameSchema(
        {"text_id": digest, "record_id": digest, "signature": pa.Column(required=False)},
        checks=_each(pl.col("text_id").is_sorted(), "texts are in order"),
        strict=True,
    )


@functools.cache
def list_schema() -> pa.DataFrameSchema:
    """What one slice leaves out: each record once, with a known reason."""
    reasons = pa.Column(pl.String, pa.Check.isin(DROP_REASONS))
    return pa.DataFrameSchema({"record_id": pa.Column(pl.String, _HEX, unique=True), "reason": reasons}, strict=True)


@functools.cache
def tokenizer_schema() -> pa.DataFrameSchema:
    """A vocabulary: ids from 0 without a gap, each token once."""
    return pa.DataFrameSchema(
        {"token": pa.Column(pl.String, unique=True), "id": pa.Column(pl.Int64, pa.Check.ge(0), unique=True)},
        checks=_each(pl.col("id").max() == pl.len() - 1, "ids leave no gap"),
        strict=True,
    )


@functools.cache
def rows_schema(vocab_size: int, window: int) -> pa.DataFrameSchema:
    """Rows of triples: ``bos prefix bos suffix eos`` with spans that meet, and token ids inside the vocabulary."""
    tokens, end = pl.col("tokens"), pl.col("decoder_end")
    token_type = pl.UInt16 if vocab_size <= 1 << 16 else pl.UInt32
    spans = {name: pa.Column(pl.UInt32) for name in ("encoder_begin", "encoder_end", "decoder_begin", "decoder_end")}
    specials = (_token_at("encoder_begin") == BOS) & (_token_at("decoder_begin") == BOS) & (tokens.list.last() == EOS)
    return pa.DataFrameSchema(
        {
            "row_key": pa.Column(pl.UInt64, unique=True),
            "record_id": pa.Column(pl.String, _HEX),
            "start": pa.Column(pl.UInt32),
            "tokens": pa.Column(pl.List(token_type)),
            **spans,
        },
        checks=[
            _each((pl.col("encoder_begin") == 0) & (end == tokens.list.len()), "the spans cover the row"),
            _each(pl.col("encoder_end") == pl.col("decoder_begin"), "the decoder begins where the encoder ends"),
            _each(pl.col("encoder_end") >= 2, "the prefix holds a token"),
            _each(end >= pl.col("decoder_begin") + 3, "the suffix holds a token"),
            _each(end <= window + 3, "the row holds at most one window"),
            _each(specials, "bos, bos and eos are in their places"),
            _each(tokens.list.max() < vocab_size, "ids are below the vocabulary size"),
            _each(tokens.list.min() > PAD, "no padding is stored"),
        ],
        strict=True,
    )


@functools.cache
def documents_schema() -> pa.DataFrameSchema:
    """Documents of triples: each record and each text once, in a known split."""
    return pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX, unique=True),
            "origin": pa.Column(pl.String, _FILLED),
            "split": pa.Column(pl.String, pa.Check.isin(SPLITS)),
            "text_id": pa.Column(pl.String, _HEX, unique=True),
        },
        strict=True,
    )


@functools.cache
def dropped_schema() -> pa.DataFrameSchema:
    """Drop counts: every reason once."""
    columns = {
        "reason": pa.Column(pl.String, pa.Check.isin(DROPPED), unique=True),
        "count": pa.Column(pl.Int64, pa.Check.ge(0)),
    }
    return pa.DataFrameSchema(columns, checks=_each(pl.len() == len(DROPPED), "every reason is counted"), strict=True)


@functools.cache
def drops_schema() -> pa.DataFrameSchema:
    """Drop lists: each record of a slice once, and for each the kept record, which is none of those dropped."""
    record, keeper = pl.struct(a="slice", b="record_id"), pl.struct(a="kept_slice", b="kept_record_id")
    slices = {name: pa.Column(pl.String, _FILLED) for name in ("slice", "kept_slice")}
    records = {name: pa.Column(pl.String, _HEX) for name in ("record_id", "kept_record_id")}
    return pa.DataFrameSchema(
        {**slices, **records, "reason": pa.Column(pl.String, pa.Check.isin(DROP_REASONS))},
        checks=[
            _each(record.is_unique(), "a record is dropped once"),
            _each(~keeper.is_in(record.implode()), "the kept record is kept"),
        ],
        strict=True,
    )


@functools.cache
def summary_schemas() -> dict[str, pa.DataFrameSchema]:
    """Tables of a quality summary: counts and lengths that are not negative, and bins that are not empty ranges."""
    count, name = pa.Column(pl.Int64, pa.Check.ge(0)), pa.Column(pl.String, _FILLED)
    counted = {field.name: count for field in SLICES_SCHEMA if field.name != "slice"}
    bins = {"slice": name, "measure": pa.Column(pl.String, pa.Check.isin(MEASURES)), "low": count, "high": count}
    split = [pl.col(split) for split in SPLITS]
    return {
        "slices.parquet": pa.DataFrameSchema(
            {"slice": pa.Column(pl.String, _FILLED, unique=True), **counted},
            checks=_each(pl.col("documents") == pl.sum_horizontal(split), "every document is in one split"),
            strict=True,
        ),
        "drops.parquet": pa.DataFrameSchema({"slice": name, "reason": name, "count": count}, strict=True),
        "lengths.parquet": pa.DataFrameSchema(
            {**bins, "count": count}, checks=_each(pl.col("low") < pl.col("high"), "a bin is a range"), strict=True
        ),
    }


@functools.cache
def members_schema() -> pa.DataFrameSchema:
    """Members of a dataset manifest: a tokenizer and at least one slice."""
    roles = ("tokenizer", "triples")
    return pa.DataFrameSchema(
        {
            "role": pa.Column(pl.String, pa.Check.isin(roles)),
            "slice": pa.Column(pl.String),
            "id": pa.Column(pl.String, _DIGEST),
        },
        checks=_each(pl.col("role").n_unique() == len(roles), "every role has a member"),
        strict=True,
    )


@functools.cache
def checks_schema() -> pa.DataFrameSchema:
    """Leakage checks of a dataset manifest: all passed, and each ran over something in some slice."""
    return pa.DataFrameSchema(
        {
            "slice": pa.Column(pl.String, _FILLED),
            "check": pa.Column(pl.String, _FILLED),
            "rows": pa.Column(pl.Int64, pa.Check.ge(0)),  # a slice may be empty
            "count": pa.Column(pl.Int64, pa.Check.eq(0)),
            "passed": pa.Column(pl.Boolean, pa.Check.eq(True)),
        },
        checks=[
            _each(pl.len() >= 1, "a check ran"),
            _each(pl.col("rows").sum().over("check") >= 1, "a check looked at something"),
        ],
        strict=True,
    )


def _each(expression: pl.Expr, name: str) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(expression), name=name, error=name)


def _token_at(position: str) -> pl.Expr:
    return pl.col("tokens").list.get(pl.col(position), null_on_oob=True)


def _record_ids() -> pl.Expr:
    return pl.struct("text", "prompt").map_batches(
        lambda rows: pl.Series([record_id(**row) for row in rows]), return_dtype=pl.String
    )
