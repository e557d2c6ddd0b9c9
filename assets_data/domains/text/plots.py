"""Pictures of what the slices hold, drawn without a display."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from assets_data.lineage import Snapshot
from assets_data.pictures import png


def quality_figures(summary: Snapshot) -> dict[str, bytes]:
    """``{title: PNG}``: shares of records and documents by length, a line per slice and a thick one for all, and what
    was left out.
    """
    figure = Figure(figsize=(15, 4), layout="constrained")
    characters, tokens, drops = figure.subplots(1, 3)
    lengths = pl.DataFrame(summary.table("lengths.parquet"))
    for axes, measure in ((characters, "characters_per_record"), (tokens, "tokens_per_document")):
        for (name,), bins in lengths.filter(pl.col("measure") == measure).group_by("slice", maintain_order=True):
            share = bins.get_column("count") / max(1, bins.get_column("count").sum())
            style = {"color": "black", "linewidth": 2} if name == "*" else {"linewidth": 0.8, "alpha": 0.6}
            axes.step(bins.get_column("low").clip(1), share, where="post", **style)
        axes.set(title=measure.replace("_", " "), xscale="log", xlabel="at least", ylabel="share")
    total = pl.DataFrame(summary.table("drops.parquet")).filter(pl.col("slice") == "*")
    bars = drops.barh(total.get_column("reason"), total.get_column("count"))
    drops.bar_label(bars, fmt="{:,.0f}", padding=2)
    drops.set(title="left out, all slices", xlabel="records, documents or windows")
    drops.margins(x=0.15)
    return {"lengths and drop reasons": png(figure)}
