"""A source is listed once a command, and each time outside of one."""

import pytest

from assets_data.lineage.storage.look import one_look, shared
from assets_data.sources.listing import listed


def test_within_a_look_a_source_is_listed_once_and_another_for_itself():
    asked = []

    def ask(source):
        return listed(source, lambda: asked.append(source) or len(asked))

    assert [ask("a"), ask("a")] == [1, 2]
    with one_look():
        assert [ask("a"), ask("b"), ask("a")] == [3, 4, 3]
        with one_look():
            assert [ask("b"), ask("c")] == [4, 5]
        assert ask("c") == 5
    with one_look():
        assert ask("a") == 6


def test_a_listing_that_failed_is_tried_again():
    def fails():
        raise OSError("gone for a moment")

    with one_look():
        with pytest.raises(OSError, match="for a moment"):
            listed("a", fails)
        assert listed("a", lambda: 1) == 1


def test_a_look_at_a_store_and_a_source_of_one_name_are_kept_apart(tmp_path):
    with one_look():
        assert listed(tmp_path, lambda: "a listing") == "a listing"
        assert tmp_path not in shared()
