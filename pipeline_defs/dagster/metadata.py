"""What Dagster shows of a snapshot: ids, parents as read, commit, sizes, speed, a preview, the receipt, the curves.

Text from data is escaped before it becomes markdown: names and rows are shown, never rendered.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from assets_data.lineage import Snapshot
from assets_data.lineage.identity.tables import iter_batches
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import SOURCE

PREVIEW_ROWS, REPORT_ROWS = 5, 30
CELL = 60


def published(snapshot: Snapshot, metadata: Mapping[str, Any]) -> dg.MaterializeResult[Snapshot]:
    """The materialisation of a snapshot: its value for the IO manager, its id as data version, and its metadata."""
    return dg.MaterializeResult(
        value=snapshot,
        data_version=dg.DataVersion(snapshot.id),
        metadata=metadata,
    )


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """Metadata every node carries."""
    rows = row_count(snapshot)
    seconds = float(snapshot.stats.get("seconds", 0.0))
    facts: dict[str, Any] = {
        "id": snapshot.id,
        "bytes": snapshot.bytes,
        "rows": rows,
        "duration_s": seconds,
        "rows_per_s": round(rows / seconds, 1) if seconds else 0.0,
        "reused": snapshot.reused,
        "stats": dg.MetadataValue.json(dict(snapshot.stats)),
    }
    if snapshot.receipt:
        facts |= _from_receipt(snapshot.receipt)
    if (preview := preview_table(snapshot)) is not None:
        facts["preview"] = dg.MetadataValue.md(preview)
    return facts


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
    for name, entry in snapshot.files.items():
        if entry["part"] and Path(name).suffix in (".arrow", ".parquet"):
            head = next(iter_batches(snapshot.file(name)), None)
            return None if head is None else f"`{name}`\n\n{markdown_table(head.slice(0, PREVIEW_ROWS))}"
    return None


def markdown_table(batch: pa.RecordBatch) -> str:
    """A markdown table; every cell is shortened and escaped."""
    return _markdown(batch.schema.names, batch.to_pylist())


def rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A markdown table of rows that share their members; every cell is shortened and escaped."""
    return _markdown(list(rows[0]), list(rows))


def report_tables(report: Snapshot) -> dict[str, dg.MarkdownMetadataValue]:
    """What a gate report measured, for the UI: its scalars, and the first rows of every table its recipe wrote."""
    metrics = report.read_json("result.json")["metrics"]
    scalars = [{"name": name, "value": value} for name, value in metrics["scalars"].items()]
    tables = {"scalars": scalars, **{name: rows for name, rows in metrics.items() if isinstance(rows, list) and rows}}
    shown = {name: _markdown(list(rows[0]), rows[:REPORT_ROWS]) for name, rows in tables.items() if rows}
    return {f"report/{name}": dg.MetadataValue.md(table) for name, table in shown.items()}


def _markdown(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    cells = [[escape(str(row[name])) for name in names] for row in rows]
    lines = [[escape(name) for name in names], ["---"] * len(names), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escape(text: str) -> str:
    """Plain text for markdown: control characters shown, markup and a leading formula sign escaped, length bounded.

    What a renderer would make a link of by itself is broken as reports of attacks do it: ``https[:]//``, ``www[.]``,
    ``a[@]b``. A backslash is not enough there: renderers look for addresses in the text that is left after escapes.
    """
    short = text if len(text) <= CELL else text[: CELL - 1] + "…"
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
    return {
        "parents": dg.MetadataValue.json(read),
        "commit": receipt.commit or "not a git checkout",
        "dirty": bool(receipt.dirty),
        "config": dg.MetadataValue.json(dict(receipt.config)),
        "receipt": dg.MetadataValue.path(str(path)),
    }
