"""The domain on one screen: episodes per slice, pinned statistics, sequences over all slices, one manifest."""

from __future__ import annotations

from assets_data.domain import Domain
from assets_data.domains.episodes.config import RAW, TABLES
from assets_data.stage import NOTHING, ROWS, Check, Many, One, Stage, learns_from

HERE = "assets_data.domains.episodes"
SCHEMA = f"{HERE}.schemas:check_schema"

STAGES = (
    Stage(
        kind="episodes/raw_slice",
        make=f"{HERE}.raw_slice:make_raw_slice",
        says="Episodes of one environment, sensor, policy and seed range, or of one file: a replay store that is "
        "mapped, keeps dtypes, and keeps an end and a cut apart.",
        source=True,
        sliced=True,
        presets=RAW,
        learns=ROWS,
        schema=SCHEMA,
        checks=(
            Check(
                name="recollects",
                run=f"{HERE}.checks:check_recollects",
                says="Three episodes, played again in another order, are the same records bit for bit.",
            ),
        ),
        without=f"{HERE}.raw_slice:without_records",
        now=f"{HERE}.raw_slice:arguments_now",
        figures=f"{HERE}.figures:episode_figures",
        tags=("arrow",),
    ),
    Stage(
        kind="episodes/statistics",
        make=f"{HERE}.statistics:make_statistics",
        says="Mean and deviation of observations and rewards, and the mean length, of the training episodes; pinned.",
        inputs={"raw_slice": Many("episodes/raw_slice")},
        presets=TABLES,
        sections=("split", "statistics"),
        learns=learns_from("train"),
        schema=SCHEMA,
        pin="statistics.again",
        tags=("json",),
    ),
    Stage(
        kind="episodes/sequences",
        make=f"{HERE}.sequences:make_sequences",
        says="Every training sequence of all slices as one row: its episode, and the range its start is drawn from.",
        inputs={"raw_slice": Many("episodes/raw_slice"), "statistics": One("episodes/statistics")},
        presets=TABLES,
        sections=("split", "sequences"),
        learns=ROWS,
        schema=SCHEMA,
        tags=("arrow",),
    ),
    Stage(
        kind="episodes/dataset_manifest",
        make=f"{HERE}.manifest:make_dataset_manifest",
        says="One id over sequences and statistics; what a recipe trains on.",
        inputs={"sequences": One("episodes/sequences"), "statistics": One("episodes/statistics")},
        learns=NOTHING,
        schema=SCHEMA,
        checks=(
            Check(
                name="splits_disjoint",
                run=f"{HERE}.checks:check_splits",
                says="No episode is in two splits.",
            ),
        ),
        tags=("json",),
    ),
)

DOMAIN = Domain(
    name="episodes",
    stages=STAGES,
    slices=f"{HERE}.source:slice_names",
    preview=f"{HERE}.preview:open_preview",
    commands=f"{HERE}.commands",
)
