"""The checkout as it is, whatever git was told: an edit cannot be hidden, and no other repository answers for it."""

import os
import subprocess

import pytest

from assets_data.lineage.receipts import watched, working_tree
from assets_data.lineage.receipts.working_tree import tree_state

ROOMS = ("room",)


def git(root, *arguments):
    names = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command, variables = ["git", "-C", str(root), *arguments], {**os.environ, **names}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout.strip()


def repository(root, text="A = 1\n"):
    (root / "room").mkdir(parents=True)
    (root / "room" / "code.py").write_text(text)
    (root / "notes.txt").write_text("notes\n")
    (root / "link").symlink_to("notes.txt")
    (root / ".gitignore").write_text("ignored*\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.fixture
def root(tmp_path):
    return repository(tmp_path / "repository")


def state(root):
    return tree_state(root, ROOMS)


def test_a_checkout_as_committed_is_clean_and_an_edit_gives_a_digest_of_its_own(root):
    assert state(root) == {"commit": git(root, "rev-parse", "HEAD"), "dirty": False, "diff": None}
    digests = set()
    for text in ("A = 2\n", "A = 3\n"):
        (root / "room" / "code.py").write_text(text)
        found = state(root)
        assert found["dirty"] and found["diff"].startswith("sha256:")
        digests.add(found["diff"])
    (root / "room" / "code.py").write_text("A = 1\n")
    assert len(digests) == 2 and not state(root)["dirty"]


def assume_unchanged(root):
    git(root, "update-index", "--assume-unchanged", "room/code.py")
    (root / "room" / "code.py").write_text("A = 2\n")


def skip_worktree(root):
    git(root, "update-index", "--skip-worktree", "room/code.py")
    (root / "room" / "code.py").write_text("A = 2\n")


def a_filter(root):
    """A clean filter that shows git what was committed, whatever lies there."""
    git(root, "config", "filter.hide.clean", "printf 'A = 1\\n'")
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "attributes").write_text("*.py filter=hide\n")
    (root / "room" / "code.py").write_text("A = 2\n")


def an_exclude(root):
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "exclude").write_text("room/\n")
    (root / "room" / "more.py").write_text("B = 1\n")


def an_ignored_module(root):
    (root / "room" / "ignored.py").write_text("B = 1\n")


def an_ignored_library(root):
    (root / "room" / "ignored.so").write_bytes(b"\x7fELF")


def a_replaced_object(root):
    old = git(root, "rev-parse", "HEAD:room/code.py")
    (root / "room" / "code.py").write_text("A = 2\n")
    git(root, "replace", old, git(root, "hash-object", "-w", "room/code.py"))


def a_replaced_tree(root):
    first = git(root, "rev-parse", "HEAD^{tree}")
    (root / "room" / "code.py").write_text("A = 2\n")
    git(root, "add", "-A")
    git(root, "replace", first, git(root, "write-tree"))


def same_size_and_time(root):
    path = root / "room" / "code.py"
    before = path.stat()
    path.write_text("A = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def a_deleted_file(root):
    git(root, "update-index", "--assume-unchanged", "notes.txt")
    (root / "notes.txt").unlink()


def a_staged_file(root):
    (root / "room" / "more.py").write_text("B = 1\n")
    git(root, "add", "-A")


def a_link_for_a_file(root):
    (root / "notes.txt").rename(root / "elsewhere.txt")
    (root / "notes.txt").symlink_to("elsewhere.txt")
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "exclude").write_text("elsewhere.txt\n")


def a_file_in_a_new_folder(root):
    (root / "other" / "deep").mkdir(parents=True)
    (root / "other" / "deep" / "more.txt").write_text("x")


def a_file_in_a_folder_that_was_empty(root):
    (root / "empty" / "more.txt").write_text("x")


def ignored_code_in_an_ignored_folder(root):
    (root / "room" / "ignored" / "more.py").write_text("B = 1\n")


def an_edit_of_what_was_added(root):
    (root / "room" / "code.py").write_text("A = 2\n")
    assert state(root)["dirty"]
    (root / "room" / "code.py").write_text("A = 1\n")
    (root / "room" / "more.py").write_text("B = 1\n")
    first = state(root)["diff"]
    (root / "room" / "more.py").write_text("B = 2\n")
    assert state(root)["diff"] != first


def a_commit_and_an_edit(root):
    (root / "room" / "code.py").write_text("A = 2\n")
    git(root, "commit", "-q", "-am", "second")
    assert not state(root)["dirty"]
    git(root, "checkout", "-q", "-b", "branch", "HEAD~")
    assert not state(root)["dirty"] and state(root)["commit"] == git(root, "rev-parse", "HEAD")
    git(root, "reset", "-q", "--soft", "HEAD@{1}")
    git(root, "pack-refs", "--all")


def a_link_turned(root):
    (root / "link").unlink()
    (root / "link").symlink_to("room/code.py")


HIDDEN = [
    assume_unchanged, skip_worktree, a_filter, an_exclude, an_ignored_module, an_ignored_library, a_replaced_object,
    a_replaced_tree, same_size_and_time, a_deleted_file, a_staged_file, a_link_for_a_file, a_link_turned,
    a_file_in_a_new_folder, a_file_in_a_folder_that_was_empty, ignored_code_in_an_ignored_folder,
    an_edit_of_what_was_added, a_commit_and_an_edit,
]  # fmt: skip


@pytest.mark.parametrize("seen", [False, True], ids=["at first sight", "after it was seen clean"])
@pytest.mark.parametrize("hide", HIDDEN)
def test_an_edit_cannot_be_hidden(root, hide, seen, monkeypatch):
    (root / "empty").mkdir()
    (root / "room" / "ignored").mkdir()
    if seen:
        old = -3600 * 10**9
        monkeypatch.setattr(working_tree, "_SETTLED_NS", old)  # as if the checkout were old
        monkeypatch.setattr(watched, "SETTLED_NS", old)
        assert not state(root)["dirty"]
    hide(root)
    found = state(root)
    assert found["dirty"] and found["diff"] and found["commit"] == git(root, "rev-parse", "HEAD")


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"])
def test_the_environment_names_no_other_repository(root, tmp_path, monkeypatch, variable):
    before = state(root)
    other = repository(tmp_path / "other", "A = 9\n")
    paths = {"GIT_INDEX_FILE": ".git/index", "GIT_WORK_TREE": "", "GIT_OBJECT_DIRECTORY": ".git/objects"}
    monkeypatch.setenv(variable, str(other / paths.get(variable, ".git")))
    assert state(root) == before


def test_a_folder_that_is_no_checkout_or_lies_in_one_of_something_else_has_no_commit(root, tmp_path):
    (tmp_path / "plain").mkdir()
    assert state(tmp_path / "plain") is None and state(root / "room") is None


def test_what_git_is_told_to_ignore_and_is_no_code_is_no_edit(root):
    (root / "ignored.txt").write_text("x")
    (root / "room" / "__pycache__").mkdir()
    (root / "room" / "__pycache__" / "ignored.pyc").write_bytes(b"x")
    assert not state(root)["dirty"]


def test_while_nothing_moves_git_is_not_asked_again(root, monkeypatch):
    monkeypatch.setattr(watched, "SETTLED_NS", -3600 * 10**9)  # as if the checkout were old
    asked = []
    original = working_tree._git
    monkeypatch.setattr(working_tree, "_git", lambda *arguments: asked.append(arguments) or original(*arguments))
    first = state(root)
    count = len(asked)
    assert count and state(root) == first and len(asked) == count
    (root / "room" / "__pycache__").mkdir()
    assert state(root) == first and len(asked) > count


def test_what_changed_a_moment_ago_is_looked_at_again(root):
    (root / "room" / "code.py").write_text("A = 2\n")
    assert state(root)["dirty"] and not working_tree._LAST.get((root, *ROOMS))
