"""Names and listings by plain strings say what ``pathlib`` says of them."""

from pathlib import Path, PurePosixPath

import pytest

from assets_data.lineage.storage.folders import json_files, stem
from assets_data.lineage.storage.snapshot_json import _is_inside

NAMES = ["a", "a.b", "a.b.c", ".a", ".a.b", "a.", "a..", "x/a.json", "x.y/a", "x.y/.a", "x/y/a.arrow", "x/a.b."]
ODD = [
    "",
    ".",
    "..",
    "/",
    "/a",
    "//a",
    "a/",
    "a//b",
    "./a",
    "a/.",
    "a/./b",
    "../a",
    "a/..",
    "a/../b",
    "a\0b",
    "...",
    "a b",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_stem_is_that_of_the_path(name):
    assert stem(name) == Path(name).stem


@pytest.mark.parametrize("name", [*NAMES, *ODD])
def test_a_name_is_inside_when_its_path_is_relative_and_spelt_in_the_one_way(name):
    path = PurePosixPath(name)
    plain = str(path) == name and path.parts and not path.is_absolute() and ".." not in path.parts
    assert _is_inside(name) == bool(plain and "\0" not in name)


def test_json_files_are_listed_by_name_and_nowhere_are_none(tmp_path):
    for name in ("b.json", "a.json", "c.JSON", "d.txt", ".e.json"):
        (tmp_path / name).touch()
    (tmp_path / "f.json").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    assert json_files(tmp_path) == sorted(tmp_path.glob("*.json"))
    for nowhere in ("none", "a.json", "loop"):
        assert json_files(tmp_path / nowhere) == []
