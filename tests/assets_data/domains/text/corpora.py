"""Small real corpora for the text tests: files on disk, read by the real source."""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assets_data.domains.text.config import DocumentsConfig, TextConfig, TokenizerConfig, TriplesConfig
from assets_data.domains.text.document_index import make_document_index
from assets_data.domains.text.documents import make_documents, read_documents
from assets_data.domains.text.drops import make_drops
from assets_data.domains.text.duplicates import make_duplicates
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.lineage import Snapshot, Store
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.sources import slice_names

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
]
TEXT = TextConfig(
    documents=DocumentsConfig(validation_share=0.2, test_share=0.2),
    tokenizer=TokenizerConfig(vocab_size=320),
    triples=TriplesConfig(window=32, min_window=4),
)


def documents(count: int, seed: int = 0) -> list[str]:
    """Distinct texts of 3 to 40 lines."""
    rng = random.Random(seed)
    texts = []
    for number in range(count):
        lines = [" ".join(rng.choices(WORDS, k=8)) for _ in range(rng.randint(3, 40))]
        texts.append(f"document {seed}-{number} é\n" + "\n".join(lines))
    return texts


def write_rows(path: Path, texts: list[str]) -> None:
    """Texts as JSON lines, folders made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def source_of(root: Path, shards: int = 1, **settings) -> SourceConfig:
    """Every file below ``root``."""
    files = FilesConfig(root=str(root), patterns=("**/*.*",))
    return SourceConfig(source="files", shards=shards, files=files, **settings)


def raw_of(store: Store, root: Path, texts: list[str]) -> Snapshot:
    """One raw slice of ``texts``, written to ``root`` as JSON lines."""
    write_rows(root / "rows.jsonl", texts)
    return make_raw_slice(store, "files-0", source_of(root))


def raw_slices(store: Store, source: SourceConfig) -> dict[str, Snapshot]:
    """Every slice of a source."""
    return {name: make_raw_slice(store, name, source) for name in slice_names(source)}


def documents_of(store: Store, raw: Snapshot, config: TextConfig = TEXT) -> Snapshot:
    """The documents of one slice."""
    return make_documents(store, raw, config)


def rows_of(documents: Snapshot) -> list[dict]:
    """Every document as a dict, in order."""
    return [row for batch in read_documents(documents) for row in batch.to_dicts()]


def trained(store: Store, raw: Snapshot | Iterable[Snapshot], config: TextConfig = TEXT) -> Snapshot:
    """A tokenizer trained on one slice, or on several."""
    raws = [raw] if isinstance(raw, Snapshot) else list(raw)
    return make_tokenizer(store, {str(i): documents_of(store, one, config) for i, one in enumerate(raws)}, config)


def triples_of(store: Store, raw: Snapshot, tokenizer: Snapshot, config: TextConfig = TEXT) -> Snapshot:
    """The triples of one slice that was compared with no other."""
    return make_triples(store, documents_of(store, raw, config), tokenizer, config)


def duplicates_of(store: Store, raw: Mapping[str, Snapshot], config: TextConfig = TEXT) -> Snapshot:
    """The duplicates over raw slices by name."""
    documents = {name: documents_of(store, one, config) for name, one in raw.items()}
    index = {name: make_document_index(store, one, config) for name, one in documents.items()}
    return make_duplicates(store, documents, index, config)


@dataclass(frozen=True)
class Chain:
    """Every snapshot from raw slices to triples; by slice name where each slice has one."""

    raw: Mapping[str, Snapshot]
    documents: Mapping[str, Snapshot]
    index: Mapping[str, Snapshot]
    duplicates: Snapshot
    drops: Mapping[str, Snapshot]
    tokenizer: Snapshot
    triples: Mapping[str, Snapshot]


def chain_of(
    store: Store, raw: Mapping[str, Snapshot], config: TextConfig = TEXT, tokenizer: Snapshot | None = None
) -> Chain:
    """All that the stages make of raw slices, up to the triples, in the order the factory would make them."""
    documents = {name: make_documents(store, one, config) for name, one in raw.items()}
    index = {name: make_document_index(store, one, config) for name, one in documents.items()}
    duplicates = make_duplicates(store, documents, index, config)
    drops = {name: make_drops(store, name, one, duplicates) for name, one in documents.items()}
    tokenizer = tokenizer or make_tokenizer(store, documents, config)
    triples = {name: make_triples(store, one, tokenizer, config, drops[name]) for name, one in documents.items()}
    return Chain(raw, documents, index, duplicates, drops, tokenizer, triples)
