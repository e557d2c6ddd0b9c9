"""Discovery: what patterns ask for is found or refused by name, and what is left out is counted and named."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import DataError
from assets_data.sources.discovery import discover
from assets_data.sources.patterns import Globs, names_a_suffix


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def left_out(found):
    return {reason: (entry["count"], entry["first"]) for reason, entry in found.left_out.found.items()}


def refusal(root, *patterns, exclude=()):
    with pytest.raises(DataError) as error:
        discover(root, patterns, exclude)
    assert "None" not in str(error.value)
    return error.value


TREE = ("a.jsonl", "x/b.jsonl", "x/y/c.jsonl", ".h/d.jsonl", "x/.e.jsonl", "x/._b.jsonl", "x/.g/y/f.jsonl")


@pytest.mark.parametrize(
    ("pattern", "paths", "hidden"),
    [
        ("*.jsonl", ["a.jsonl"], 0),
        ("**/*.jsonl", ["a.jsonl", "x/b.jsonl", "x/y/c.jsonl"], 4),
        ("**", ["a.jsonl", "x/b.jsonl", "x/y/c.jsonl"], 4),
        ("x/**/*.jsonl", ["x/b.jsonl", "x/y/c.jsonl"], 3),
        ("*/*.jsonl", ["x/b.jsonl"], 3),
        (".h/*.jsonl", [".h/d.jsonl"], 0),
        ("**/.*.jsonl", ["x/._b.jsonl", "x/.e.jsonl"], 0),
        ("**/.g/**/*.jsonl", ["x/.g/y/f.jsonl"], 0),
        ("x/[by]*", ["x/b.jsonl"], 0),
        ("x/**.jsonl", ["x/b.jsonl"], 2),
    ],
)
def test_a_hidden_name_is_asked_for_by_a_step_that_begins_with_a_dot_and_else_counted(tmp_path, pattern, paths, hidden):
    put(tmp_path, *TREE)
    found = discover(tmp_path, [pattern])
    assert found.paths == paths
    assert found.left_out.found.get("hidden", {"count": 0})["count"] == hidden


@given(st.lists(st.sampled_from(["a", "b", "*", "a*", "**"]), min_size=1, max_size=4), st.data())
def test_walking_a_pattern_step_by_step_is_matching_it_whole(steps, data):
    names = data.draw(st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4))

    def matches(pattern, path):
        if not pattern:
            return not path
        if pattern[0] == "**":
            return matches(pattern[1:], path) or bool(path and matches(pattern, path[1:]))
        fits = path and (pattern[0] in ("*", path[0]) or (pattern[0] == "a*" and path[0][0] == "a"))
        return bool(fits) and matches(pattern[1:], path[1:])

    globs = Globs(["/".join(steps)])
    places = globs.start()
    for name in names:
        places = globs.step(places, name, hidden=False)
    assert bool(globs.whole(places)) == matches([*steps, "*"] if steps[-1] == "**" else steps, names)


@pytest.mark.parametrize(
    ("exclude", "paths", "count"),
    [
        (["x"], ["a.jsonl"], 2),
        (["x/**"], ["a.jsonl"], 2),
        (["**/[bc].jsonl"], ["a.jsonl"], 2),
        (["x/y/c.jsonl"], ["a.jsonl", "x/b.jsonl"], 1),
    ],
)
def test_what_is_excluded_is_left_out_counted_and_named(tmp_path, exclude, paths, count):
    put(tmp_path, "a.jsonl", "x/b.jsonl", "x/y/c.jsonl")
    found = discover(tmp_path, ["**/*.jsonl"], exclude)
    assert found.paths == paths and found.left_out.found["excluded"]["count"] == count and not found.unmatched


def test_patterns_that_match_nothing_are_named_one_by_one(tmp_path):
    put(tmp_path, "a.jsonl", ".b.json")
    found = discover(tmp_path, ["*.jsonl", "*.json", "sub/*.txt"], ["*.bak"])
    assert found.unmatched == ["sub/*.txt", "*.bak"] and left_out(found) == {"hidden": (1, [".b.json"])}
    error = refusal(tmp_path, "*.txt", "*.json", "sub/**")
    assert error.code == "SOURCE_EMPTY" and str(tmp_path) in str(error)
    for part in (
        "'*.txt' matches nothing",
        "'*.json' matches no file",
        "'sub/**' matches nothing",
        "hidden: 1 (.b.json)",
    ):
        assert part in str(error)


@pytest.mark.parametrize(
    "stray", ["README", "README.md", "LICENSE", "_SUCCESS", "Thumbs.db", "notes.ipynb", "x/.DS_Store", "b.jsonl.crc"]
)
@pytest.mark.parametrize("pattern", ["**/*", "**", "**/*.*", "*"])
def test_a_stray_beside_what_can_be_read_is_left_out_unless_a_pattern_names_its_suffix(tmp_path, stray, pattern):
    put(tmp_path, "a.jsonl", stray)
    assert discover(tmp_path, [pattern]).paths == ["a.jsonl"]
    asked = refusal(tmp_path, "*.jsonl", f"**/{stray.rpartition('/')[2]}")
    assert asked.code == "FILE_FORMAT" and stray.rpartition("/")[2] in str(asked)


def test_strays_are_named_and_a_source_of_strays_alone_is_refused(tmp_path):
    put(tmp_path, *(f"README-{n:02}.md" for n in range(12)))
    error = refusal(tmp_path, "**/*")
    assert error.code == "FILE_FORMAT" and "no reader: 12 (README-00.md" in str(error)
    put(tmp_path, "a.txt")
    count, first = left_out(discover(tmp_path, ["**/*"]))["no reader"]
    assert count == 12 and len(first) == 10


def test_descriptions_that_data_sets_libraries_write_are_no_rows(tmp_path):
    put(
        tmp_path, "train/data-0.arrow", "train/dataset_info.json", "train/state.json", "dataset_dict.json", "state.json"
    )
    found = discover(tmp_path, ["**/*"])
    assert found.paths == ["state.json", "train/data-0.arrow"] and left_out(found)["description"][0] == 3
    assert discover(tmp_path, ["*/state.json"]).paths == ["train/state.json"]


@pytest.mark.parametrize(
    "name", ["A.JSONL", "b.Txt.GZ", "c.jsonl.zstd", "d.FEATHER", "e.pq", "f.ndjson.gzip", "g.Json"]
)
def test_suffixes_count_in_any_case_and_under_their_aliases(tmp_path, name):
    put(tmp_path, name)
    assert discover(tmp_path, ["*"]).paths == [name]


def test_a_link_to_nothing_is_refused_where_it_was_asked_for_and_said_elsewhere(tmp_path):
    put(tmp_path, "a.jsonl")
    (tmp_path / "gone").symlink_to("/nowhere/at/all")
    (tmp_path / ".#a.jsonl").symlink_to("me@host:1")  # how an editor locks a file
    found = discover(tmp_path, ["**/*.jsonl"])
    assert left_out(found) == {"link to nothing": (1, ["gone"]), "hidden": (1, [".#a.jsonl"])}
    (tmp_path / "b.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "loop.jsonl").symlink_to("b.jsonl")
    error = refusal(tmp_path, "**/*.jsonl")
    assert error.code == "SOURCE_LINK" and "b.jsonl" in str(error)
    assert discover(tmp_path, ["**/*.jsonl"], ["loop.jsonl", "b.jsonl"]).paths == ["a.jsonl"]


def test_a_linked_folder_is_read_once_and_one_out_of_the_root_is_refused(tmp_path):
    root = tmp_path / "root"
    put(root, "v3/a.jsonl", "v3/b.jsonl")
    put(tmp_path, "more/c.jsonl")
    (root / "latest").symlink_to("v3")
    assert discover(root, ["latest/*.jsonl"]).paths == ["latest/a.jsonl", "latest/b.jsonl"]
    found = discover(root, ["**/*.jsonl"])
    assert found.paths == ["v3/a.jsonl", "v3/b.jsonl"]
    assert left_out(found) == {"linked": (2, ["latest/a.jsonl", "latest/b.jsonl"])}
    (root / "v3" / "up").symlink_to(root)
    assert discover(root, ["**/*.jsonl"]).paths == ["v3/a.jsonl", "v3/b.jsonl"]
    (root / "elsewhere").symlink_to(tmp_path / "more")
    error = refusal(root, "**/*.jsonl")
    assert error.code == "FILE_OUTSIDE" and str(error.where).endswith("elsewhere")
    assert discover(root, ["**/*.jsonl"], ["elsewhere"]).paths == ["v3/a.jsonl", "v3/b.jsonl"]
    assert discover(root, ["v3/*.jsonl"]).paths == ["v3/a.jsonl", "v3/b.jsonl"]


def test_a_pipe_and_a_folder_with_a_files_name_are_said(tmp_path):
    put(tmp_path, "a.jsonl", "spark.jsonl/part-0.jsonl")
    os.mkfifo(tmp_path / "b.jsonl")
    found = discover(tmp_path, ["*.jsonl"])
    assert found.paths == ["a.jsonl"]
    assert left_out(found) == {"neither file nor folder": (1, ["b.jsonl"]), "folder": (1, ["spark.jsonl/"])}


@pytest.mark.parametrize(("name", "found"), [("nothing", "nothing"), ("file", "a file")])
def test_a_root_that_is_no_folder_is_named(tmp_path, name, found, monkeypatch):
    put(tmp_path, "file")
    monkeypatch.chdir(tmp_path)
    error = refusal(Path(name), "*")
    assert (error.code, error.where, error.found) == ("SOURCE_ROOT", str(tmp_path / name), found)


@contextlib.contextmanager
def as_nobody():
    """Root may read every folder, so be somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", ["x", "x/deep"])
def test_an_unreadable_folder_is_refused_by_name_unless_it_is_left_out(name):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folder lets nobody in
        os.chmod(folder, 0o755)
        root = Path(folder)
        put(root, "a.jsonl", f"{name}/b.jsonl")
        (root / name).chmod(0)
        with as_nobody():
            error = refusal(root, "**/*.jsonl")
            found = discover(root, ["**/*.jsonl"], [name])
        (root / name).chmod(0o755)
    assert error.code == "SOURCE_UNREADABLE" and error.where == root / name and "Permission" in str(error)
    assert found.paths == ["a.jsonl"] and left_out(found) == {"excluded": (1, [f"{name}/"])}


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("*", False),
        ("**/*", False),
        ("*.*", False),
        ("part-*", False),
        ("a.*", False),
        ("*.json*", False),
        (".*", False),
        ("*.jsonl", True),
        ("**/*.gz", True),
        ("README", True),
        (".hidden", True),
        ("*.[gz]", False),
    ],
)
def test_which_patterns_name_a_suffix(pattern, named):
    assert names_a_suffix(pattern) is named
