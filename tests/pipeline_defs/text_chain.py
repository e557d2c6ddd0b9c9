"""The real text stages over a few small slices, with or without some of their texts."""

from collections.abc import Collection, Mapping
from pathlib import Path

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.quality_summary import make_quality_summary
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.walks.config import smoke as walks
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import Snapshot, Store
from tests.assets_data.domains.text.corpora import TEXT, chain_of, source_of, write_rows

Slices = Mapping[str, list[str]]
Learners = tuple[Snapshot, Snapshot]


def make_raw(store: Store, root: Path, texts: list[str], without: Collection[str]) -> Snapshot:
    """A slice of one file per text, so that a text which was never there moves no other."""
    for number, text in enumerate(texts):
        if text not in without:
            write_rows(root / f"{number:03}.jsonl", [text])
    return make_raw_slice(store, "files-0", source_of(root))


def make_learners(store: Store, folder: Path, slices: Slices, config: TextConfig = TEXT) -> Learners:
    """A tokenizer and a graph that learned from all of ``slices``."""
    chain = chain_of(store, {name: make_raw(store, folder / name, texts, ()) for name, texts in slices.items()}, config)
    return chain.tokenizer, make_walk_corpus(store, chain.triples, chain.tokenizer, walks())


def make_data(
    store: Store,
    folder: Path,
    slices: Slices,
    without: Collection[str] = (),
    learners: Learners | None = None,
    config: TextConfig = TEXT,
) -> dict[str, Snapshot]:
    """The data nodes by name, some texts left out; under the learners given, or under some that never read those."""
    raw = {name: make_raw(store, folder / name, texts, without) for name, texts in slices.items()}
    chain = chain_of(store, raw, config, learners[0] if learners else None)
    corpus = learners[1] if learners else make_walk_corpus(store, chain.triples, chain.tokenizer, walks())
    by_slice = {
        "text/raw_slice": chain.raw,
        "text/documents": chain.documents,
        "text/document_index": chain.index,
        "text/drops": chain.drops,
        "text/triples": chain.triples,
    }
    return {
        **{f"{kind}/{name}": one for kind, made in by_slice.items() for name, one in made.items()},
        "text/tokenizer": chain.tokenizer,
        "text/duplicates": chain.duplicates,
        "text/walk_corpus": corpus,
        "text/dataset_manifest": make_dataset_manifest(store, chain.triples, chain.tokenizer),
        "text/quality_summary": make_quality_summary(store, chain.raw, chain.triples),
    }
