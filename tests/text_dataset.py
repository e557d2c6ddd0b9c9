"""One slice of the embedded corpus as a dataset, made by the stages' plain functions: no Dagster, a few seconds."""

from assets_data.domains.text.config import smoke as text
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.domains.text.walks.config import smoke as walks
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import Snapshot, Store
from assets_data.sources.config import smoke as source
from assets_data.sources.sources import slice_names


def make_text_manifest(store: Store) -> Snapshot:
    """The manifest of the smoke presets over the first slice."""
    name = slice_names(source())[0]
    raw = make_raw_slice(store, name, source())
    tokenizer = make_tokenizer(store, [raw], text())
    triples = make_triples(store, raw, tokenizer, text())
    corpus = make_walk_corpus(store, [triples], tokenizer, walks())
    return make_dataset_manifest(store, {name: triples}, tokenizer, corpus)
