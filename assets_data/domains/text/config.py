"""Settings of the text stages. ``documents`` says which texts exist, in which split; tokenizer and triples share it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from assets_data.lineage import ConfigError, option


def _refuse(section: str, problems: list[str]) -> None:
    if problems:
        raise ConfigError("TEXT_CONFIG", f"{section}: " + "; ".join(problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsConfig:
    """Cleaning bounds and the split. Bounds hold for any script: they count letters, lines and lengths, not words."""

    min_chars: int = option(32, "fewest visible characters of a document")
    max_chars: int = option(2_000_000, "most characters of a document")
    max_word_chars: int = option(
        100_000, "most characters between two blanks of a document: more is data, not words; 0 bounds nothing"
    )
    min_letter_share: float = option(0.4, "least share of letters and marks among visible characters")
    min_distinct_lines: float = option(0.3, "least share of distinct lines among a document's lines")
    validation_share: float = option(0.05, "share of documents in the validation split")
    test_share: float = option(0.05, "share of documents in the test split")
    seed: int = option(7, "seed of the split; another seed is another split of every document")

    def __post_init__(self) -> None:
        shares = (self.min_letter_share, self.min_distinct_lines, self.validation_share, self.test_share)
        problems = []
        if not 1 <= self.min_chars <= self.max_chars:
            problems.append("min_chars must be at least 1 and at most max_chars")
        if self.max_word_chars < 0:
            problems.append("max_word_chars must be at least 0")
        if not all(0 <= share <= 1 for share in shares):
            problems.append("shares must lie in [0, 1]")
        if self.validation_share + self.test_share >= 1:
            problems.append("validation_share + test_share must leave room for training documents")
        _refuse("documents", problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """Byte-level BPE. Once trained under these settings it is pinned, whatever slices arrive later."""

    vocab_size: int = option(4096, "tokens, the 256 bytes and 4 specials included")
    min_frequency: int = option(2, "fewest times a pair is seen before it becomes a token")
    max_word_chars: int = option(
        1024, "longer words, and longer runs of blanks, are cut into pieces of this length to train on; bounds time"
    )
    retrain: bool = option(False, "train again on the slices at hand and pin the result; invalidates every triple")

    def __post_init__(self) -> None:
        bounds = {
            "vocab_size": (self.vocab_size, 260),
            "min_frequency": (self.min_frequency, 1),
            "max_word_chars": (self.max_word_chars, 1),
        }
        _refuse("tokenizer", [f"{n} must be at least {low}" for n, (value, low) in bounds.items() if value < low])


@dataclass(frozen=True, slots=True, kw_only=True)
class TriplesConfig:
    """Windows of a document, and what the encoder reads of each: the prompt if there is one, else a prefix.

    Overlapping windows show the shared tokens to training twice. They never leave their document's split.
    """

    window: int = option(256, "tokens per window, without specials; a prompt and its response share one window")
    overlap: int = option(0, "tokens that a window shares with the one before it in its document")
    min_window: int = option(16, "a document's last window is dropped when it has fewer tokens than this")
    truncate_prompts: bool = option(
        False, "a prompt too long for its response's window loses its first tokens; false: the pair is dropped"
    )
    pivot_low: float = option(0.2, "smallest prefix, as a share of the window")
    pivot_high: float = option(0.8, "largest prefix, as a share of the window")
    seed: int = option(7, "seed of the pivot")
    batch_bytes: int = option(1 << 20, "text bytes tokenised at a time; bounds memory, never changes the result")

    def __post_init__(self) -> None:
        problems = []
        if not 2 <= self.min_window <= self.window:
            problems.append("min_window must be at least 2 and at most window")
        if not 0 <= self.overlap < self.window:
            problems.append("overlap must be at least 0 and less than window")
        if not 0 <= self.pivot_low <= self.pivot_high <= 1:
            problems.append("0 <= pivot_low <= pivot_high <= 1 must hold")
        if self.batch_bytes < 1:
            problems.append("batch_bytes must be at least 1")
        _refuse("triples", problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesConfig:
    """Duplicates across slices: equal documents always, near ones on request (MinHash over shingles, in memory)."""

    near: bool = option(False, "also leave out documents that are nearly equal to a kept one, within and across slices")
    threshold: float = option(0.8, "least estimated Jaccard similarity of the shingles of near-duplicates")
    shingle: Literal["word", "char"] = option("word", "what a shingle is made of; char for scripts without spaces")
    shingle_size: int = option(5, "words or characters per shingle")
    permutations: int = option(128, "hash functions per signature: the estimate's error is about 1 / sqrt of this")
    seed: int = option(7, "seed of the hash functions")

    def __post_init__(self) -> None:
        problems = []
        near_only = ((field.name, field.default) for field in fields(self) if field.name != "near")
        if not self.near and any(getattr(self, name) != default for name, default in near_only):
            problems.append("the other fields are only read with near = true")
        if not 0 < self.threshold <= 1:
            problems.append("threshold must lie in (0, 1]")
        if self.shingle_size < 1 or self.permutations < 2:
            problems.append("shingle_size must be at least 1 and permutations at least 2")
        _refuse("duplicates", problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """Everything between a raw slice and its triples."""

    documents: DocumentsConfig = option(DocumentsConfig(), "cleaning and split")
    tokenizer: TokenizerConfig = option(TokenizerConfig(), "vocabulary")
    triples: TriplesConfig = option(TriplesConfig(), "windows and pivots")
    duplicates: DuplicatesConfig = option(DuplicatesConfig(), "what is left out in favour of another document")


def demo() -> TextConfig:
    """4,096 tokens, windows of 256: for the whole standard library."""
    return TextConfig()


def smoke() -> TextConfig:
    """1,024 tokens, windows of 64, larger held-out shares: for two dozen modules."""
    return TextConfig(
        documents=DocumentsConfig(validation_share=0.1, test_share=0.1),
        tokenizer=TokenizerConfig(vocab_size=1024),
        triples=TriplesConfig(window=64, min_window=8),
    )


PRESETS = {"smoke": smoke, "demo": demo}
