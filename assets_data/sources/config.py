"""What to read and how much of it. Owns the settings of every source; reads nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from assets_data.lineage import ConfigError, option
from assets_data.sources.extract_config import ExtractConfig
from assets_data.sources.http.config import LARGEST_WINDOW, HttpConfig, http_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesConfig:
    """Local files: where they are, and how far a compressed file may unfold."""

    root: str = option("", "folder that patterns and record origins are relative to; ~ is the home folder")
    patterns: tuple[str, ...] = option((), "globs below root, such as corpus/**/*.jsonl.zst; .x asks for hidden names")
    exclude: tuple[str, ...] = option(
        (), "globs below root, such as **/old/** or notes.txt: what they match is left out"
    )
    licence: str = option("unstated", "licence of the files, as an SPDX expression if there is one")
    max_unpacked_bytes: int = option(64 << 30, "most bytes one compressed file may unfold to")
    max_unpack_ratio: int = option(200, "most unpacked bytes per packed byte (files under 1 MiB unpacked are exempt)")
    max_window_bytes: int = option(
        128 << 20, "largest window of a zstd file (--long=27 needs 134217728): memory to read it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One source of raw records and how it falls into slices."""

    source: Literal["python_stdlib", "files", "http_index"] = option("python_stdlib", "where records come from")
    shards: int = option(4, "slices, by a stable hash of each file's path; of http_index: slices a run plans by itself")
    parts_per_slice: int = option(0, "most files per slice, in hash order, 0: all; http_index: in index order, 0: one")
    max_record_bytes: int = option(16 << 20, "longest text of one record in UTF-8 bytes; a longer one is refused")
    max_records: int = option(0, "most records of a slice; 0 means all")
    shuffle: bool = option(False, "order a slice's records by a keyed digest: max_records is then a random sample")
    seed: int = option(7, "seed of the shuffle")
    zstd_level: int = option(1, "how hard a slice's records are compressed: 1 (fast) to 22 (small)")
    extract: ExtractConfig = option(ExtractConfig(), "from the rows of a file to records")
    files: FilesConfig = option(FilesConfig(), "settings of source = files")
    http: HttpConfig = option(HttpConfig(), "settings of source = http_index")

    def __post_init__(self) -> None:
        problems = [*_shape_problems(self), *_files_problems(self), *_http_problems(self)]
        if problems:
            raise ConfigError("SOURCE_CONFIG", "; ".join(problems))


def demo() -> SourceConfig:
    """The whole standard library of the running interpreter, about 12 MB in four slices."""
    return SourceConfig()


def smoke() -> SourceConfig:
    """Two dozen modules per slice: the chain runs in seconds."""
    return SourceConfig(parts_per_slice=24)


PRESETS = {"smoke": smoke, "demo": demo}


def _shape_problems(config: SourceConfig) -> list[str]:
    least = {"shards": 1, "parts_per_slice": 0, "max_record_bytes": 1, "max_records": 0}
    problems = [f"{name} must be at least {low}" for name, low in least.items() if getattr(config, name) < low]
    if not 1 <= config.zstd_level <= 22:
        problems.append("zstd_level must be from 1 to 22")
    if config.source == "python_stdlib" and config.extract != ExtractConfig():
        problems.append("extract.* is not read by source = python_stdlib, whose files have no rows")
    return problems


def _files_problems(config: SourceConfig) -> list[str]:
    files = config.files
    if config.source != "files":
        return [] if files == FilesConfig() else [f"files.* is only read by source = files, not {config.source}"]
    patterns = [PurePosixPath(pattern) for pattern in (*files.patterns, *files.exclude)]
    problems = [
        f"files.{name} is required by source = files" for name in ("root", "patterns") if not getattr(files, name)
    ]
    problems += [f"files.patterns must stay below root: {p}" for p in patterns if p.is_absolute() or ".." in p.parts]
    if not all(pattern.parts for pattern in patterns):
        problems.append("files.patterns and files.exclude must not hold an empty pattern")
    if min(files.max_unpacked_bytes, files.max_unpack_ratio) < 1:
        problems.append("files.max_unpacked_bytes and files.max_unpack_ratio must be at least 1")
    if not 1 << 10 <= files.max_window_bytes <= LARGEST_WINDOW:
        problems.append(f"files.max_window_bytes must be from 1024 to {LARGEST_WINDOW} (zstd --long=31)")
    return problems


def _http_problems(config: SourceConfig) -> list[str]:
    if config.source == "http_index":
        return http_problems(config.http)
    return [] if config.http == HttpConfig() else [f"http.* is only read by source = http_index, not {config.source}"]
