"""Small real corpora for the text tests: files on disk, read by the real source."""

import json
import random
from pathlib import Path

from assets_data.domains.text.config import DocumentsConfig, TextConfig, TokenizerConfig, TriplesConfig
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.lineage import Snapshot, Store
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.sources import slice_names

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau".split()
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


def trained(store: Store, raw: Snapshot, config: TextConfig = TEXT) -> Snapshot:
    """A tokenizer trained on one slice."""
    return make_tokenizer(store, [raw], config)
