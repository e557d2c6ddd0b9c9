"""Slices: stable under additions, digested before they are read; settings no source reads are refused."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import ConfigError, DataError, digest_file, from_dict, to_dict
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.config import PRESETS, FilesConfig, SourceConfig
from assets_data.sources.parts import assign_slices
from assets_data.sources.sources import open_source, slice_names

paths = st.sets(st.text("abc/", min_size=1, max_size=6), min_size=1, max_size=30)


def slice_of(slices):
    return {path: name for name, members in slices.items() for path in members}


@given(paths, paths, st.integers(1, 7))
def test_a_file_that_arrives_moves_no_other_file(before, arriving, shards):
    config = SourceConfig(shards=shards)
    then, now = assign_slices("x", before, config), assign_slices("x", [*arriving, *before], config)
    assert set(slice_of(now)) == before | arriving
    assert {path: slice_of(now)[path] for path in before} == slice_of(then)
    assert all(members == sorted(members) and members for members in now.values())


@given(paths, st.integers(1, 5))
def test_a_higher_cap_only_adds_files_to_a_slice(members, cap):
    small, large = (assign_slices("x", members, SourceConfig(shards=2, parts_per_slice=n)) for n in (cap, cap + 1))
    assert all(len(small[name]) <= cap and set(small[name]) <= set(large[name]) for name in small)


def test_a_capped_slice_is_a_sample_not_the_head_of_the_alphabet():
    members = [f"{i:03}" for i in range(200)]
    (kept,) = assign_slices("x", members, SourceConfig(shards=1, parts_per_slice=20)).values()
    assert min(kept) < "070" and max(kept) > "130"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_embedded_source_has_four_slices_under_every_preset(preset):
    config = PRESETS[preset]()
    assert slice_names(config) == ["stdlib-0", "stdlib-1", "stdlib-2", "stdlib-3"]
    parts = open_source(config).parts("stdlib-2")
    assert parts and all(p.sha256 == digest_file(p.path) and p.bytes == p.path.stat().st_size for p in parts)


def test_slices_are_listed_by_number_and_empty_ones_are_not(tmp_path):
    for i in range(40):
        (tmp_path / f"{i}.txt").write_text("x")
    files = FilesConfig(root=str(tmp_path), patterns=("*.txt",))
    names = slice_names(SourceConfig(source="files", shards=12, files=files))
    assert names == sorted(names) == [f"files-{int(name.removeprefix('files-')):02}" for name in names]
    assert sorted(names, key=lambda name: int(name.removeprefix("files-"))) == names
    assert [len(name) for name in slice_names(SourceConfig(source="files", shards=10**6, files=files))] == [12] * 40


def test_an_unknown_slice_and_an_empty_source_are_refused(tmp_path):
    with pytest.raises(DataError, match="stdlib-9") as error:
        open_source(SourceConfig()).parts("stdlib-9")
    assert error.value.code == "SLICE_UNKNOWN"
    with pytest.raises(DataError) as error:
        slice_names(SourceConfig(source="files", files=FilesConfig(root=str(tmp_path), patterns=("*.txt",))))
    assert error.value.code == "SOURCE_EMPTY"


@pytest.mark.parametrize(
    "settings",
    [
        {"files": {"patterns": ["*.txt"]}},
        {"source": "files"},
        {"source": "files", "files": {"root": "/data"}},
        {"source": "http"},
        {"shards": 0},
        {"parts_per_slice": -1},
        {"max_record_bytes": 0},
        {"source": "files", "files": {"root": "/data", "patterns": ["*"], "max_unpack_ratio": 0}},
    ],
)
def test_settings_that_no_source_can_use_are_refused(settings):
    with pytest.raises(ConfigError):
        from_dict(SourceConfig, settings)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_survive_their_json_form(preset):
    assert from_dict(SourceConfig, to_dict(PRESETS[preset]())) == PRESETS[preset]()


def test_config_modules_load_no_data_library():
    script = (
        "import sys, assets_data.sources.config, assets_data.domains.text.config; "
        "print(sorted({'polars', 'pandera', 'tokenizers', 'zstandard', 'torch', 'dagster'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
