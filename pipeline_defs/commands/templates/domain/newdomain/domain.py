"""The domain on one screen: CSV rows to records, a scaler, scaled rows, one manifest. Parents come first."""

from __future__ import annotations

from assets_data.domain import Domain
from assets_data.stage import NOTHING, ROWS, Check, Many, One, Stage, learns_from
from newdomain.config import SOURCES, TABLES

SCHEMA = "newdomain.schemas:check_schema"

STAGES = (
    Stage(
        kind="newdomain/raw_slice",
        make="newdomain.raw_slice:make_raw_slice",
        says="One CSV file as records with ids and groups.",
        source=True,
        sliced=True,
        presets=SOURCES,
        learns=ROWS,
        schema=SCHEMA,
        without="newdomain.raw_slice:without_records",
        now="newdomain.raw_slice:arguments_now",
        tags=("parquet",),
    ),
    Stage(
        kind="newdomain/scaler",
        make="newdomain.scaler:make_scaler",
        says="Mean and deviation of every column over the training records of all slices.",
        inputs={"raw_slice": Many("newdomain/raw_slice")},
        presets=TABLES,
        sections=("split",),
        learns=learns_from("train"),
        schema=SCHEMA,
        tags=("json",),
    ),
    Stage(
        kind="newdomain/rows",
        make="newdomain.rows:make_rows",
        says="The slice's records as scaled features and target, split by group or by record.",
        inputs={"raw_slice": One("newdomain/raw_slice"), "scaler": One("newdomain/scaler")},
        sliced=True,
        presets=TABLES,
        sections=("split", "rows"),
        learns=ROWS,
        schema=SCHEMA,
        tags=("arrow",),
    ),
    Stage(
        kind="newdomain/dataset_manifest",
        make="newdomain.manifest:make_dataset_manifest",
        says="One id over the scaler and every slice's rows; what a recipe trains on.",
        inputs={"rows": Many("newdomain/rows"), "scaler": One("newdomain/scaler")},
        learns=NOTHING,
        schema=SCHEMA,
        checks=(
            Check(
                name="splits_disjoint",
                run="newdomain.checks:check_splits",
                says="No record, and no group where the split goes by group, is in two splits.",
            ),
        ),
        tags=("json",),
    ),
)

DOMAIN = Domain(
    name="newdomain",
    stages=STAGES,
    slices="newdomain.source:slice_names",
    standing="newdomain.demonstration:slice_names",
    preview="newdomain.preview:open_preview",
)
