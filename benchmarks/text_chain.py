"""The text stages from raw slices to triples by plain functions: what several benchmarks begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.document_index import make_document_index
from assets_data.domains.text.documents import make_documents
from assets_data.domains.text.drops import make_drops
from assets_data.domains.text.duplicates import make_duplicates
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.lineage import Snapshot, Store

BY_SLICE = ("text/raw_slice", "text/documents", "text/document_index", "text/drops", "text/triples")


@dataclass(frozen=True, slots=True)
class Text:
    """``sliced`` is kind to slice name to snapshot, for the kinds in BY_SLICE."""

    sliced: Mapping[str, Mapping[str, Snapshot]]
    duplicates: Snapshot
    tokenizer: Snapshot

    @property
    def triples(self) -> Mapping[str, Snapshot]:
        """The triples by slice name."""
        return self.sliced["text/triples"]

    def named(self) -> dict[str, Snapshot]:
        """Every snapshot under the name that it has in a store."""
        names = {f"{kind}/{name}": one for kind, made in self.sliced.items() for name, one in made.items()}
        return {**names, "text/duplicates": self.duplicates, "text/tokenizer": self.tokenizer}


def make_text(store: Store, raw: Mapping[str, Snapshot], config: TextConfig, tokenizer: Snapshot | None = None) -> Text:
    """All that is made of raw slices up to the triples, with a tokenizer trained on them or a given one."""
    documents = {name: make_documents(store, one, config) for name, one in raw.items()}
    index = {name: make_document_index(store, one, config) for name, one in documents.items()}
    duplicates = make_duplicates(store, documents, index, config)
    drops = {name: make_drops(store, name, one, duplicates) for name, one in documents.items()}
    tokenizer = tokenizer or make_tokenizer(store, documents, config)
    triples = {name: make_triples(store, one, tokenizer, config, drops[name]) for name, one in documents.items()}
    return Text(dict(zip(BY_SLICE, (raw, documents, index, drops, triples), strict=True)), duplicates, tokenizer)


def make_trained_tokenizer(store: Store, raw: Snapshot, config: TextConfig) -> Snapshot:
    """A tokenizer trained on one slice."""
    return make_tokenizer(store, {"training": make_documents(store, raw, config)}, config)
