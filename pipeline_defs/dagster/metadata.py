"""What Dagster shows of a snapshot: ids, parents as read, commit, sizes, speed, a preview, the receipt, the curves.

Text from data is escaped before it becomes markdown: names and rows are shown, never rendered.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from assets_data.documents import read_result
from assets_data.lineage import Snapshot
from assets_data.lineage.identity.tables import iter_batches, table_schema
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import SOURCE

PREVIEW_ROWS, REPORT_ROWS, PARENTS = 5, 30, 100
CELL = 60


def published(snapshot: Snapshot, metadata: Mapping[str, Any]) -> dg.MaterializeResult[Snapshot]:
    """The materialisation of a snapshot: its value for the IO manager, its id as data version, and its metadata."""
    return dg.MaterializeResult(
        value=snapshot,
        data_version=dg.DataVersion(snapshot.id),
        metadata=metadata,
    )


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """Metadata every node carries. Numbers are numbers, for plots; what means nothing for this node is left out."""
    rows = row_count(snapshot)
    seconds = float(snapshot.stats.get("seconds", 0.0))
    facts: dict[str, Any] = {"id": snapshot.id, "reused": snapshot.reused, "bytes": snapshot.bytes}
    if rows or next(_tables(snapshot), None):
        facts |= {"dagster/row_count": rows, "rows": rows}
    if seconds:
        facts |= {"duration_s": rounded(seconds)} | ({"rows_per_s": rounded(rows / seconds)} if rows else {})
    facts |= numbers({name: value for name, value in snapshot.stats.items() if name not in ("seconds", "rows")})
    facts["stats"] = dg.MetadataValue.json(dict(snapshot.stats))
    facts["dagster/uri"] = snapshot.path.as_uri()
    if snapshot.receipt:
        facts |= _from_receipt(snapshot.receipt)
    if (schema := column_schema(snapshot)) is not None:
        facts["dagster/column_schema"] = schema
    if (preview := preview_table(snapshot)) is not None:
        facts["preview"] = dg.MetadataValue.md(preview)
    return facts


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, int | float]:
    """The finite numbers among some facts, which Dagster plots over time; floats rounded for people."""
    return {
        f"{prefix}{name}": rounded(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def rounded(value: float) -> float:
    """Six significant digits of a float; an int as it is."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def column_schema(snapshot: Snapshot) -> dg.TableSchema | None:
    """The columns of its first table, with the types that Arrow gives them; None where it has no table."""
    name = next(_tables(snapshot), None)
    if name is None:
        return None
    columns = [dg.TableColumn(field.name, str(field.type)) for field in table_schema(snapshot.file(name))]
    return dg.TableSchema(columns=columns)


def _tables(snapshot: Snapshot) -> Iterator[str]:
    return (
        name for name, entry in snapshot.files.items() if entry["part"] and Path(name).suffix in (".arrow", ".parquet")
    )


def row_count(snapshot: Snapshot) -> int:
    """Rows over all its splits; without splits, the rows it says it took or made, else those of its tables."""
    splits, parts = snapshot.content["splits"], snapshot.content["parts"].values()
    if splits:
        return sum(splits.values())
    return snapshot.stats.get("rows") or sum(
        part["rows"] for part in parts if isinstance(part, dict) and "rows" in part
    )


def preview_table(snapshot: Snapshot) -> str | None:
    """The first rows of its first table as a markdown table, or None where it has no table."""
    name = next(_tables(snapshot), None)
    head = next(iter_batches(snapshot.file(name)), None) if name else None
    return None if head is None else f"`{name}`\n\n{markdown_table(head.slice(0, PREVIEW_ROWS))}"


def markdown_table(batch: pa.RecordBatch) -> str:
    """A markdown table; every cell is shortened and escaped."""
    return _markdown(batch.schema.names, batch.to_pylist())


def rows_table(rows: Sequence[Mapping[str, Any]], most: int = CELL) -> str:
    """A markdown table of rows that share their members; cells are escaped, and cut to ``most`` characters."""
    return _markdown(list(rows[0]), list(rows), most)


def report_tables(report: Snapshot) -> dict[str, dg.MarkdownMetadataValue]:
    """What a gate report measured, for the UI: its scalars, and the first rows of every table its recipe wrote."""
    metrics = read_result(report)["metrics"]
    scalars = [{"name": name, "value": value} for name, value in metrics["scalars"].items()]
    tables = {"scalars": scalars, **{name: rows for name, rows in metrics.items() if isinstance(rows, list) and rows}}
    shown = {name: _markdown(list(rows[0]), rows[:REPORT_ROWS]) for name, rows in tables.items() if rows}
    return {f"report/{name}": dg.MetadataValue.md(table) for name, table in shown.items()}


def _markdown(names: Sequence[str], rows: Iterable[Mapping[str, Any]], most: int = CELL) -> str:
    cells = [[escape(str(row[name]), most) for name in names] for row in rows]
    lines = [[escape(name) for name in names], ["---"] * len(names), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escape(text: str, most: int = CELL) -> str:
    """Plain text for markdown: control characters shown, markup and a leading formula sign escaped, length bounded.

    What a renderer would make a link of by itself is broken as reports of attacks do it: ``https[:]//``, ``www[.]``,
    ``a[@]b``. A backslash is not enough there: renderers look for addresses in the text that is left after escapes.
    """
    short = text if len(text) <= most else text[: most - 1] + "…"
    visible = "".join(c if c.isprintable() else repr(c)[1:-1] for c in short)
    return re.sub(r"^[=@-]|[\\`*_{}\[\]()<>#+!|~&]", r"\\\g<0>", _LINK.sub(r"[\g<0>]", visible))


_LINK = re.compile(r"(?i):(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):|(?<=\btel):|(?<=[\w.+-])@(?=[\w-])")
"""The one character without which GFM's autolinks, and mail programs, see no address."""


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG inside markdown, so that it shows in the UI without a file server."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def _from_receipt(path: Path) -> dict[str, Any]:
    receipt = read_receipt(path)
    read = [[f"{parent.input}={parent.kind}", parent.id] for parent in receipt.parents]
    read += [[f"{SOURCE}={part.name}", f"sha256:{part.sha256}"] for part in receipt.sources]
    if len(read) > PARENTS:  # those of every slice: an event of thousands is slow to store and to show
        read = [*read[:PARENTS], ["and", f"{len(read) - PARENTS:,} more, in the receipt"]]
    return {
        "parents": dg.MetadataValue.json(read),
        "commit": receipt.commit or "not a git checkout",
        "dirty": bool(receipt.dirty),
        "config": dg.MetadataValue.json(dict(receipt.config)),
        "receipt": dg.MetadataValue.path(str(path)),
    }
