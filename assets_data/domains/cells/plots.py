"""Pictures of what the datasets hold and of what a gate judged, drawn without a display."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from assets_data.documents import read_result
from assets_data.domains.cells.quality_summary import TOTAL
from assets_data.lineage import Snapshot
from assets_data.pictures import png


def quality_figures(summary: Snapshot) -> dict[str, bytes]:
    """``{title: PNG}``: counts, genes and mitochondrial share per cell, a line per dataset; each donor's medians."""
    figure = Figure(figsize=(16, 7), layout="constrained")
    upper, lower = figure.subplots(2, 3)
    bins = pl.DataFrame(summary.table("histograms.parquet"))
    groups = pl.DataFrame(summary.table("groups.parquet")).filter(pl.col("dataset") == TOTAL, pl.col("group") != TOTAL)
    titles = {
        "counts": "counts per cell",
        "genes": "genes per cell",
        "mitochondrial": "mitochondrial counts in 1,000",
    }
    for axes, (measure, title) in zip(upper, titles.items(), strict=True):
        for (name,), rows in bins.filter(pl.col("measure") == measure).group_by("dataset", maintain_order=True):
            style = {"color": "black", "linewidth": 2} if name == TOTAL else {"linewidth": 0.8, "alpha": 0.7}
            axes.step(rows["low"], rows["cells"], where="post", label=None if name == TOTAL else name, **style)
        axes.set(title=title, ylabel="cells", **({} if measure == "mitochondrial" else {"xscale": "log"}))
        if 1 < bins["dataset"].n_unique() <= 9:
            axes.legend(fontsize=7)
    shown = groups.sort("group").head(40)
    for axes, (measure, title) in zip(lower, titles.items(), strict=True):
        places = range(len(shown))
        middle, high = shown[f"{measure}_p50"], shown[f"{measure}_p95"]
        axes.bar(places, middle)
        axes.vlines(places, shown[f"{measure}_p05"], high, color="black", linewidth=1)
        axes.set(title=f"{title}: median, 5% and 95%, by donor")
        axes.set_xticks(list(places), shown["group"].to_list(), rotation=90, fontsize=7)
    return {"cells, per dataset and donor": png(figure, dpi=80)}


def gate_figures(report: Snapshot) -> dict[str, bytes]:
    """``{title: PNG}``: the judged cells on the first two components of what stands for them, coloured by label."""
    cells = read_result(report)["metrics"].get("cells")
    if not cells:
        return {}
    labels = sorted({cell["label"] for cell in cells})
    embeddings = [name for name in cells[0] if name not in ("label", "batch")]
    figure = Figure(figsize=(6 * len(embeddings) + 2, 5), layout="constrained")
    panels = figure.subplots(1, len(embeddings), squeeze=False)[0]
    for axes, name in zip(panels, embeddings, strict=True):
        for number, label in enumerate(labels):
            points = [cell[name] for cell in cells if cell["label"] == label]
            axes.scatter(*zip(*points, strict=True), s=12, color=f"C{number % 10}", label=label or "no label")
        axes.set(title=name, xlabel="component 1", ylabel="component 2")
    panels[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return {"judged cells": png(figure)}
