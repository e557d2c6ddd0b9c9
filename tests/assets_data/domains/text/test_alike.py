"""Other spellings of a text: found from any of them, in any slice, also where a slice left them out."""

import pytest

from assets_data.domains.text.alike import same_text
from assets_data.domains.text.raw_slice import record_id
from assets_data.lineage import Store
from tests.assets_data.domains.text.corpora import chain_of, documents, raw_of

ONE, OTHER, ALONE = documents(3, seed=13)
SPELLED = [ONE, f"{ONE}  \n", f"\ufeff{ONE}", ONE.replace("é", "e\u0301")]
SLICES = {"files-0": [ONE, f"{ONE}  \n", OTHER, "short"], "files-1": [*SPELLED[2:], ALONE, "short\n"]}


def ids(*texts):
    return {bytes.fromhex(record_id(text)) for text in texts}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """Every snapshot of two slices, of all kinds."""
    root = tmp_path_factory.mktemp("alike")
    store = Store(root / "store")
    chain = chain_of(store, {name: raw_of(store, root / name, texts) for name, texts in SLICES.items()})
    by_slice = (chain.raw, chain.documents, chain.index, chain.drops, chain.triples)
    return [chain.tokenizer, chain.duplicates, *(one for made in by_slice for one in made.values())]


@pytest.mark.parametrize("spelling", range(4))
def test_every_spelling_is_found_from_each_of_them(snapshots, spelling):
    assert same_text(snapshots, ids(SPELLED[spelling])) == ids(*SPELLED)


def test_records_of_two_texts_bring_both_and_nothing_else(snapshots):
    assert same_text(snapshots, ids(SPELLED[1], OTHER)) == ids(*SPELLED, OTHER)
    assert same_text(snapshots, ids(ALONE)) == ids(ALONE)


def test_a_record_that_is_no_document_or_in_no_slice_stands_for_itself(snapshots):
    unknown = ids("never read")
    assert same_text(snapshots, ids("short") | unknown) == ids("short") | unknown  # too short to have been compared
    assert same_text(snapshots, set()) == set() and same_text([], ids(ONE)) == ids(ONE)
