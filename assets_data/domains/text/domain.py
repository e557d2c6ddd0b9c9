"""The text domain on one screen: raw text to cleaned documents, a tokenizer, leak-free triples, walks, one manifest."""

from __future__ import annotations

from assets_data.domain import Domain, Job
from assets_data.domains.text.config import PRESETS as TEXT
from assets_data.domains.text.mix_config import PRESETS as MIXES
from assets_data.domains.text.walks.config import PRESETS as WALKS
from assets_data.sources.config import PRESETS as SOURCES
from assets_data.stage import NOTHING, ROWS, Check, Many, One, Part, Stage, learns_from

HERE = "assets_data.domains.text"
SCHEMA = f"{HERE}.schemas:check_schema"

STAGES = (
    Stage(
        kind="text/raw_slice",
        make=f"{HERE}.raw_slice:make_raw_slice",
        says="One slice of the source, as compressed records with ids and origins.",
        source=True,
        sliced=True,
        presets=SOURCES,
        learns=ROWS,
        schema=SCHEMA,
        without=f"{HERE}.raw_slice:without_records",
        now=f"{HERE}.raw_slice:arguments_now",
        tags=("parquet",),
    ),
    Stage(
        kind="text/documents",
        make=f"{HERE}.documents:make_documents",
        says="The slice's texts, cleaned once: what is kept, in its split, and why the rest was left out.",
        inputs={"raw_slice": One("text/raw_slice")},
        sliced=True,
        presets=TEXT,
        sections=("documents",),
        learns=ROWS,
        schema=SCHEMA,
        tags=("polars", "parquet"),
    ),
    Stage(
        kind="text/document_index",
        make=f"{HERE}.document_index:make_document_index",
        says="What the slice's documents are called, by their texts, and their signatures; it holds no text.",
        inputs={"documents": One("text/documents")},
        sliced=True,
        presets=TEXT,
        sections=("duplicates",),
        learns=ROWS,
        schema=SCHEMA,
        tags=("parquet",),
    ),
    Stage(
        kind="text/tokenizer",
        make=f"{HERE}.tokenizer:make_tokenizer",
        says="Byte-level BPE over the training split of the slices at hand; once trained it is pinned.",
        inputs={"documents": Many("text/documents")},
        presets=TEXT,
        sections=("tokenizer",),
        learns=learns_from("train"),
        schema=SCHEMA,
        pin="tokenizer.retrain",
        tags=("tokenizers",),
    ),
    Stage(
        kind="text/duplicates",
        make=f"{HERE}.duplicates:make_duplicates",
        says="Which record owns a text over all slices, and which are left out in its favour.",
        inputs={"documents": Many("text/documents"), "document_index": Many("text/document_index")},
        presets=TEXT,
        sections=("duplicates",),
        learns=NOTHING,
        schema=SCHEMA,
        tags=("polars", "parquet"),
    ),
    Stage(
        kind="text/drops",
        make=f"{HERE}.drops:make_drops",
        says="The slice's own part of the duplicates: the records it leaves out.",
        inputs={
            "documents": One("text/documents"),
            "duplicates": One(
                "text/duplicates", part=Part(digest=f"{HERE}.drops:list_digest", changes=f"{HERE}.drops:list_changes")
            ),
        },
        sliced=True,
        learns=NOTHING,
        schema=SCHEMA,
        tags=("parquet",),
    ),
    Stage(
        kind="text/triples",
        make=f"{HERE}.triples:make_triples",
        says="Tokenized windows as leak-free (encoder, decoder, labels) views, split by document.",
        inputs={
            "documents": One("text/documents"),
            "tokenizer": One("text/tokenizer"),
            "drops": One("text/drops"),
        },
        sliced=True,
        presets=TEXT,
        sections=("triples",),
        learns=ROWS,
        schema=SCHEMA,
        checks=(
            Check(
                name="no_label_leak",
                run=f"{HERE}.checks:check_label_leaks",
                says="No label position is visible to the encoder, in any row.",
            ),
        ),
        tags=("polars", "arrow"),
    ),
    Stage(
        kind="text/walk_corpus",
        make=f"{HERE}.walks.corpus:make_walk_corpus",
        says="Exact random walks with planted long-range rules over the token-transition graph of all slices.",
        inputs={"triples": Many("text/triples"), "tokenizer": One("text/tokenizer")},
        presets=WALKS,
        learns=learns_from("train"),
        schema=SCHEMA,
        checks=(
            Check(
                name="rule_compliance",
                run=f"{HERE}.walks.read:check_rules",
                says="Every rule encounter in every walk is honoured and every step is an edge, by the gate's scorer.",
            ),
        ),
        tags=("numba", "arrow"),
    ),
    Stage(
        kind="text/mix",
        make=f"{HERE}.mix:make_mix",
        says="Rows of several sources in exact shares, interleaved by keys, as one set of triples.",
        presets=MIXES,
        learns=ROWS,
        on_request=True,
        unchecked="it is made of triples, which are checked as they are made",
    ),
    Stage(
        kind="text/quality_summary",
        make=f"{HERE}.quality_summary:make_quality_summary",
        says="Lengths, drop reasons and tokens per document, per slice and in total, as tables and pictures.",
        inputs={"raw_slice": Many("text/raw_slice"), "triples": Many("text/triples")},
        learns=NOTHING,
        schema=SCHEMA,
        figures=f"{HERE}.plots:quality_figures",
        tags=("polars", "matplotlib"),
    ),
    Stage(
        kind="text/dataset_manifest",
        make=f"{HERE}.manifest:make_dataset_manifest",
        says="One id over the tokenizer and every slice's triples; what a recipe trains on.",
        inputs={"triples": Many("text/triples"), "tokenizer": One("text/tokenizer")},
        learns=NOTHING,
        schema=SCHEMA,
        checks=(
            Check(
                name="splits_disjoint",
                run=f"{HERE}.checks:check_splits",
                says="No cleaned text is in two splits, within or across the slices that this manifest names.",
            ),
        ),
        tags=("json",),
    ),
)

DOMAIN = Domain(
    name="text",
    stages=STAGES,
    slices="assets_data.sources.sources:slice_names",
    standing="assets_data.sources.sources:embedded_slices",
    grown="assets_data.sources.growth:grown_slices",
    recorded="assets_data.sources.recorded:recorded_settings",
    preview=f"{HERE}.preview:open_preview",
    find=f"{HERE}.find:find_text",
    carried=f"{HERE}.carried:carried_of",
    tally=f"{HERE}.carried:tally_carried",
    alike=f"{HERE}.alike:same_text",
    commands=f"{HERE}.commands",
    jobs=(
        Job(
            name="mix",
            run=f"{HERE}.mixing:mix_job",
            says="Mix triples by weights and quotas; optionally train on the result from then on.",
            presets=MIXES,
            fields={
                "sources": (
                    dict[str, list[str]],
                    {},
                    "Source name to names or ids of triples, mixes or manifests; empty: slices grouped by name.",
                ),
                "dataset": (
                    bool,
                    False,
                    "Let text/dataset_manifest stand for the mix, so that recipes train on it until it is made again.",
                ),
            },
        ),
    ),
)
