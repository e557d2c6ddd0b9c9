"""The real text stages over a few small slices, with or without some of their texts."""

from collections.abc import Collection, Mapping
from pathlib import Path

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.duplicates import make_duplicates
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.quality_summary import make_quality_summary
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.domains.text.walks.config import smoke as walks
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import Snapshot, Store
from tests.assets_data.domains.text.corpora import TEXT, source_of, write_rows

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
    raw = {name: make_raw(store, folder / name, texts, ()) for name, texts in slices.items()}
    tokenizer, duplicates = make_tokenizer(store, list(raw.values()), config), make_duplicates(store, raw, config)
    triples = [make_triples(store, snapshot, tokenizer, config, duplicates) for snapshot in raw.values()]
    return tokenizer, make_walk_corpus(store, triples, tokenizer, walks())


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
    tokenizer = learners[0] if learners else make_tokenizer(store, list(raw.values()), config)
    duplicates = make_duplicates(store, raw, config)
    triples = {name: make_triples(store, raw[name], tokenizer, config, duplicates) for name in raw}
    corpus = learners[1] if learners else make_walk_corpus(store, list(triples.values()), tokenizer, walks())
    return {
        **{f"text/raw_slice/{name}": snapshot for name, snapshot in raw.items()},
        "text/tokenizer": tokenizer,
        "text/duplicates": duplicates,
        **{f"text/triples/{name}": snapshot for name, snapshot in triples.items()},
        "text/walk_corpus": corpus,
        "text/dataset_manifest": make_dataset_manifest(store, triples, tokenizer, corpus),
        "text/quality_summary": make_quality_summary(store, raw, triples),
    }
