"""Names in a store: what they may be made of and what they may stand for, when written and when read."""

import pytest

from assets_data.lineage import DataError
from assets_data.lineage.storage.names import PINS, require_free, require_kind, require_name
from tests.assets_data.lineage.stages import CountConfig, make_counts

BAD = [
    "",
    ".",
    "..",
    "test/counts/..",
    "test/counts/../../outside",
    "../../../outside",
    "/etc/passwd",
    "test/counts//a",
    "test/counts/",
    "/test/counts",
    "test/counts/...",
    "test/counts/a b",
    "test/counts/a\\b",
    "test/counts/a\0",
    "test/counts/a\n",
    "test/counts/é",
    "test/counts/*",
    f"test/counts/{'a' * 201}",
    "/".join(["test/counts", *["a" * 200] * 5]),
]
GOOD = [
    "test/counts",
    "test/counts/a",
    "test/counts/a..b",
    "test/counts/.a-1_B.2",
    f"test/counts/{'a' * 200}",
    "pins/test/counts/0",
]


def files(store):
    return sorted(path for path in store.root.parent.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", BAD)
def test_a_name_of_anything_else_is_refused_on_write_and_on_read_and_touches_no_file(store, name):
    snapshot = make_counts(store, CountConfig())
    before = files(store)
    for ask in (require_name, store.pointer, store.pointed):
        with pytest.raises(DataError) as error:
            ask(name)
        assert error.value.code == "STORE_NAME" and error.value.found == repr(name)
    with pytest.raises(DataError) as error:
        store.point(name, snapshot)
    assert error.value.code in ("STORE_NAME", "STORE_NAME_KIND")
    assert files(store) == before


@pytest.mark.parametrize("name", GOOD)
def test_a_name_of_letters_digits_and_a_few_signs_is_itself(store, name):
    snapshot = make_counts(store, CountConfig())
    assert require_name(name) == name and store.pointer(name) is None
    store.point(name, snapshot)
    assert store.pointed(name).id == snapshot.id and store.all_names() == [name]


@pytest.mark.parametrize(
    "name",
    [
        "test",
        "test/count",
        "test/countsa",
        "test/counts-1",
        "other/counts",
        "counts/a",
        "a/test/counts",
        "pins/other/0",
    ],
)
def test_a_name_that_does_not_begin_with_the_kind_is_refused(store, name):
    snapshot = make_counts(store, CountConfig())
    with pytest.raises(DataError) as error:
        store.point(name, snapshot)
    assert error.value.code == "STORE_NAME_KIND" and error.value.found == name
    assert store.all_names() == []


@pytest.mark.parametrize("name", ["other/checkpoint", "test", "pins/other/0"])
def test_a_pointer_file_that_stands_for_another_kind_is_refused_when_read(store, name):
    """Put there by hand, or by a copy of a pointer under another name."""
    store.point("test/counts", make_counts(store, CountConfig()))
    pointers = store.root / "pointers"
    (pointers / name).parent.mkdir(parents=True, exist_ok=True)
    (pointers / f"{name}.json").write_bytes((pointers / "test" / "counts.json").read_bytes())
    assert store.pointed("test/counts").kind == "test/counts"
    with pytest.raises(DataError) as error:
        store.pointed(name)
    assert error.value.code == "STORE_NAME_KIND" and error.value.found == name


@pytest.mark.parametrize("name", ["pins", "pins/test/counts", "pins/test/counts/0", "../x"])
def test_a_person_names_nothing_below_what_stages_keep_for_themselves(name):
    with pytest.raises(DataError, match="STORE_NAME"):
        require_free(name)


def test_what_only_begins_like_a_kept_root_is_free():
    assert [require_free(name) for name in ("pinset/a", "text/pins/a")] == ["pinset/a", "text/pins/a"]


def test_only_a_leading_pin_is_no_part_of_the_kind():
    require_kind(f"{PINS}test/counts/0", "test/counts")
    for name in (f"{PINS}{PINS}test/counts", f"test/{PINS}counts"):
        with pytest.raises(DataError, match="STORE_NAME_KIND"):
            require_kind(name, "test/counts")
