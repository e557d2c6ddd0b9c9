"""What N slices cost, as counts of work: Python calls, and bytes read and written, which no other load changes.

A checkout that is edited meanwhile is read anew, which counts.
"""

import itertools
import os
import sys
from pathlib import Path

import pytest

from assets_data.domains.text.document_index import make_document_index
from assets_data.domains.text.drops import make_drops
from assets_data.domains.text.duplicates import make_duplicates
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.lineage import Store
from tests.assets_data.domains.text.corpora import TEXT, documents, documents_of, raw_of

DOUBLED = 2.3  # twice the slices may cost this many times as much; squares would cost 4
SIZES = pytest.mark.parametrize(
    "sizes", [(25, 50, 100), pytest.param((200, 400, 800), marks=pytest.mark.slow)], ids=lambda sizes: str(sizes[-1])
)


class Work:
    """Counts of what was done inside ``with``: ``calls`` of functions in Python or C, ``bytes`` read and written."""

    def __enter__(self):
        self.calls, self.bytes = 0, -transferred()
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        self.bytes += transferred()

    def _count(self, _frame, event, _argument):
        self.calls += event in ("call", "c_call")


def transferred():
    """Bytes that this process read and wrote by system calls so far, from the disk or from what is kept of it."""
    lines = dict(line.split(": ") for line in Path(f"/proc/{os.getpid()}/io").read_text().splitlines())
    return int(lines["rchar"]) + int(lines["wchar"])


def make_all(store, home, names):
    """Duplicates, lists and triples, and the manifest of some slices in a store of their own; the work of each."""
    (made, index), tokenizer = [{name: kind[name] for name in names} for kind in home[:2]], home[2]
    with Work() as duplicates_work:
        duplicates = make_duplicates(store, made, index, TEXT)
    with Work() as triples_work:
        drops = {name: make_drops(store, name, one, duplicates) for name, one in made.items()}
        triples = {name: make_triples(store, one, tokenizer, TEXT, drops[name]) for name, one in made.items()}
    assert sum(one.stats["rows"] for one in drops.values()) == len(names) - 1  # the text that all slices have
    with Work() as manifest_work:
        make_dataset_manifest(store, triples, tokenizer)
    return {"duplicates": duplicates_work, "triples": triples_work, "manifest": manifest_work}


@SIZES
@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts bytes as Linux tells them")
def test_twice_the_slices_cost_twice_the_work(tmp_path, sizes):
    home = Store(tmp_path / "home")
    (shared,) = documents(1, seed=10**6)
    texts = {f"s-{number}": [*documents(3, seed=number), shared] for number in range(sizes[-1])}
    made = {name: documents_of(home, raw_of(home, tmp_path / "in" / name, rows)) for name, rows in texts.items()}
    index = {name: make_document_index(home, one, TEXT) for name, one in made.items()}
    tokenizer = make_tokenizer(home, {name: made[name] for name in list(made)[:25]}, TEXT)
    make_all(Store(tmp_path / "warm"), (made, index, tokenizer), list(texts)[:5])  # imports, and what is read once
    work = [make_all(Store(tmp_path / f"of-{size}"), (made, index, tokenizer), list(texts)[:size]) for size in sizes]
    for small, large in itertools.pairwise(work):
        for stage in small:
            assert large[stage].calls <= DOUBLED * small[stage].calls, stage
            assert large[stage].bytes <= DOUBLED * small[stage].bytes, stage
