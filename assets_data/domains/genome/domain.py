"""The genome domain on one screen: sequences, alleles in normal form, who is held out, windows, edits, one manifest."""

from __future__ import annotations

from assets_data.domain import Domain
from assets_data.domains.genome.config import PRESETS
from assets_data.stage import NOTHING, ROWS, Check, Many, One, Stage

HERE = "assets_data.domains.genome"
SCHEMA = f"{HERE}.schemas:check_schema"

STAGES = (
    Stage(
        kind="genome/variants",
        make=f"{HERE}.variants:make_variants",
        says="One slice of alleles in normal form, each a record, with its spellings, counts and label.",
        source=True,
        sliced=True,
        presets=PRESETS,
        sections=("reference", "variants"),
        learns=ROWS,
        schema=SCHEMA,
        without=f"{HERE}.variants:without_records",
        now=f"{HERE}.variants:arguments_now",
        tags=("pysam", "parquet"),
    ),
    Stage(
        kind="genome/reference",
        make=f"{HERE}.reference:make_reference",
        says="The sequences as codes, with a digest each, what was soft-masked, and which are circular.",
        source=True,
        presets=PRESETS,
        sections=("reference",),
        learns=ROWS,
        schema=SCHEMA,
        without=f"{HERE}.reference:without_records",
        now=f"{HERE}.reference:arguments_now",
        tags=("parquet",),
    ),
    Stage(
        kind="genome/split",
        make=f"{HERE}.split:make_split",
        says="Regions of the edited sequences, each in one split: arcs, whole sequences, or those of a BED file.",
        inputs={"reference": One("genome/reference")},
        presets=PRESETS,
        sections=("split",),
        learns=ROWS,
        schema=SCHEMA,
        tags=("parquet",),
    ),
    Stage(
        kind="genome/windows",
        make=f"{HERE}.windows:make_windows",
        says="Windows of the reference in their splits, and of sequences that are only read.",
        inputs={"reference": One("genome/reference"), "split": One("genome/split")},
        presets=PRESETS,
        sections=("windows",),
        learns=ROWS,
        schema=SCHEMA,
        tags=("arrow",),
    ),
    Stage(
        kind="genome/trajectories",
        make=f"{HERE}.trajectories:make_trajectories",
        says="Windows before and after each of up to three edits near an anchor, with exact quotas of kinds and steps.",
        inputs={
            "reference": One("genome/reference"),
            "split": One("genome/split"),
            "variants": Many("genome/variants"),
        },
        presets=PRESETS,
        sections=("windows", "trajectories"),
        learns=ROWS,
        schema=SCHEMA,
        tags=("arrow",),
    ),
    Stage(
        kind="genome/dataset_manifest",
        make=f"{HERE}.manifest:make_dataset_manifest",
        says="One id over reference, split, windows, trajectories and every slice of alleles; what a recipe trains on.",
        inputs={
            "reference": One("genome/reference"),
            "split": One("genome/split"),
            "windows": One("genome/windows"),
            "trajectories": One("genome/trajectories"),
            "variants": Many("genome/variants"),
        },
        learns=NOTHING,
        schema=SCHEMA,
        checks=(
            Check(
                name="splits_disjoint",
                run=f"{HERE}.checks:check_splits",
                says="No base is in two splits, no held-out window is near another split's, no labelled allele is in a "
                "row, and every allele is in normal form on this reference.",
            ),
        ),
        tags=("json",),
    ),
)

DOMAIN = Domain(
    name="genome",
    stages=STAGES,
    slices=f"{HERE}.sources:slice_names",
    standing=f"{HERE}.sources:standing",
    preview=f"{HERE}.preview:open_preview",
    find=f"{HERE}.find:find_allele",
    commands=f"{HERE}.commands",
)
