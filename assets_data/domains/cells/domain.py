"""The cells domain on one screen: raw cells, a pinned vocabulary, rank-ordered rows, one manifest. Parents first."""

from __future__ import annotations

from assets_data.domain import Domain
from assets_data.domains.cells.config import CELLS, SOURCES
from assets_data.stage import NOTHING, ROWS, Check, Many, One, Stage, learns_from

HERE = "assets_data.domains.cells"
SCHEMA = f"{HERE}.schemas:check_schema"

STAGES = (
    Stage(
        kind="cells/raw_cells",
        make=f"{HERE}.raw_cells:make_raw_cells",
        says="One dataset of cells as sparse rows of counts, with ids and donors.",
        source=True,
        sliced=True,
        presets=SOURCES,
        learns=ROWS,
        schema=SCHEMA,
        without=f"{HERE}.raw_cells:without_records",
        now=f"{HERE}.raw_cells:arguments_now",
        tags=("parquet",),
    ),
    Stage(
        kind="cells/vocabulary",
        make=f"{HERE}.vocabulary:make_vocabulary",
        says="The genes a model knows, with medians and bins, over the training donors; once learned it is pinned.",
        inputs={"raw_cells": Many("cells/raw_cells")},
        presets=CELLS,
        sections=("split", "vocabulary"),
        learns=learns_from("train"),
        schema=SCHEMA,
        pin="vocabulary.retrain",
        tags=("parquet",),
    ),
    Stage(
        kind="cells/matrix",
        make=f"{HERE}.matrix:make_matrix",
        says="The dataset's cells over the vocabulary, genes in rank order, split by donor.",
        inputs={"raw_cells": One("cells/raw_cells"), "vocabulary": One("cells/vocabulary")},
        sliced=True,
        presets=CELLS,
        sections=("split",),
        learns=ROWS,
        schema=SCHEMA,
        checks=(
            Check(
                name="rows_sound",
                run=f"{HERE}.checks:check_rows",
                says="Every cell's genes are in range and unique, and its counts add up to no more than its total.",
            ),
        ),
        tags=("arrow",),
    ),
    Stage(
        kind="cells/quality_summary",
        make=f"{HERE}.quality_summary:make_quality_summary",
        says="Counts, genes and mitochondrial share per cell, per dataset and donor, as tables and pictures.",
        inputs={"raw_cells": Many("cells/raw_cells")},
        learns=NOTHING,
        schema=SCHEMA,
        figures=f"{HERE}.plots:quality_figures",
        tags=("matplotlib",),
    ),
    Stage(
        kind="cells/dataset_manifest",
        make=f"{HERE}.manifest:make_dataset_manifest",
        says="One id over the vocabulary and every dataset's matrix; what a recipe trains on.",
        inputs={"matrix": Many("cells/matrix"), "vocabulary": One("cells/vocabulary")},
        learns=NOTHING,
        schema=SCHEMA,
        checks=(
            Check(
                name="splits_disjoint",
                run=f"{HERE}.checks:check_splits",
                says="No donor, record or content is in two splits, within or across the datasets.",
            ),
        ),
        tags=("json",),
    ),
)

DOMAIN = Domain(
    name="cells",
    stages=STAGES,
    slices=f"{HERE}.sources:slice_names",
    standing=f"{HERE}.sources:standing_slices",
    preview=f"{HERE}.preview:open_preview",
    alike=f"{HERE}.alike:same_content",
    embed=f"{HERE}.embed:embed_file",
)
