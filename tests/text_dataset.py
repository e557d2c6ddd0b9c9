"""One slice of the embedded corpus as a dataset, made by the stages' plain functions: no Dagster, a few seconds."""

from assets_data.domains.text.config import smoke as text
from assets_data.domains.text.document_index import make_document_index
from assets_data.domains.text.documents import make_documents
from assets_data.domains.text.drops import make_drops
from assets_data.domains.text.duplicates import make_duplicates
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.domains.text.walks.config import smoke as walks
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import Snapshot, Store
from assets_data.sources.config import smoke as source
from assets_data.sources.sources import slice_names


def make_text_inputs(store: Store) -> dict[str, Snapshot]:
    """Kind to snapshot, of every stage up to the manifest: the smoke presets over the first slice.

    A recipe's inputs are among them: ``{name: made[given.kind] for name, given in recipe.inputs.items()}``.
    """
    name, config = slice_names(source())[0], text()
    raw = make_raw_slice(store, name, source())
    documents = make_documents(store, raw, config)
    index = make_document_index(store, documents, config)
    duplicates = make_duplicates(store, {name: documents}, {name: index}, config)
    drops = make_drops(store, name, documents, duplicates)
    tokenizer = make_tokenizer(store, {name: documents}, config)
    triples = make_triples(store, documents, tokenizer, config, drops)
    corpus = make_walk_corpus(store, {name: triples}, tokenizer, walks())
    manifest = make_dataset_manifest(store, {name: triples}, tokenizer)
    made = (raw, documents, index, duplicates, drops, tokenizer, triples, corpus, manifest)
    return {snapshot.kind: snapshot for snapshot in made}


def make_text_manifest(store: Store) -> Snapshot:
    """The manifest of the smoke presets over the first slice."""
    return make_text_inputs(store)["text/dataset_manifest"]
