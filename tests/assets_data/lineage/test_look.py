"""What a look at much takes once: the lock by which nothing is collected meanwhile, and the search for garbage."""

import fcntl
import gc
import threading
import weakref

import pytest

from assets_data.lineage.storage.locks import in_use
from assets_data.lineage.storage.look import one_look, rarely_collected


def can_collect(root):
    """Whether a collection could begin now."""
    with open(root / "gc.lock", "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_lock_that_is_held_is_not_taken_again_and_stays_until_the_outer_block_ends(tmp_path, monkeypatch):
    opened, real = [], open
    monkeypatch.setattr("builtins.open", lambda *given, **named: opened.append(given) or real(*given, **named))
    with in_use(tmp_path):
        for _ in range(3):
            with in_use(tmp_path):
                pass
        assert len(opened) == 1 and not can_collect(tmp_path)
    assert can_collect(tmp_path)
    opened.clear()
    with in_use(tmp_path):
        assert len(opened) == 1 and not can_collect(tmp_path)


def test_the_lock_of_one_store_is_not_that_of_another(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    with in_use(one), in_use(other):
        assert not can_collect(other)


def test_each_thread_holds_its_own(tmp_path):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with in_use(tmp_path):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with in_use(tmp_path):
        thread.start()
        assert inside.wait(60)
    assert not can_collect(tmp_path)
    leave.set()
    thread.join()
    assert can_collect(tmp_path)


def test_one_that_collects_is_alone(tmp_path):
    with in_use(tmp_path, alone=True), open(tmp_path / "gc.lock", "ab") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


class Circle:
    """Garbage that only a search finds."""

    def __init__(self):
        self.own = self


def test_what_was_read_in_a_look_is_not_looked_through_until_it_ends():
    before = gc.get_freeze_count()
    with one_look():
        started = gc.get_freeze_count()
        garbage = weakref.ref(Circle())
        with rarely_collected():
            assert garbage() is None
            read = [[number] for number in range(5000)]
        inside = gc.get_freeze_count()
        assert started > before and inside >= started + len(read)
        with one_look():
            pass
        assert gc.get_freeze_count() >= inside - 100  # an inner look ends nothing
    assert gc.get_freeze_count() == 0


def test_alone_the_search_is_rarer_and_nothing_is_set_aside():
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(KeyError), rarely_collected():
        assert gc.get_threshold() == (100 * before[0], *before[1:])
        raise KeyError
    assert gc.get_threshold() == before and gc.get_freeze_count() == frozen
