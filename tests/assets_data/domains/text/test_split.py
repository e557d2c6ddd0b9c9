"""The split: a function of the cleaned text alone, so no duplicate can straddle it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.domains.text.config import DocumentsConfig
from assets_data.domains.text.split import assign_splits
from assets_data.lineage import ConfigError, text_key64
from tests.assets_data.domains.text.corpora import documents, documents_of, raw_of, rows_of

keys = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20).map(lambda values: np.array(values, np.uint64))


def split_of(store, folder, texts):
    return {row["text"]: row["split"] for row in rows_of(documents_of(store, raw_of(store, folder, texts)))}


@given(keys, st.integers(-5, 5))
def test_a_document_has_the_split_it_would_have_alone(values, seed):
    config = DocumentsConfig(seed=seed, validation_share=0.3, test_share=0.3)
    assert assign_splits(values, config).tolist() == [assign_splits(key[None], config)[0] for key in values]


def test_the_split_of_a_text_is_the_same_in_every_version():
    """Another draw here would move documents between the splits of every dataset that there is."""
    config = DocumentsConfig(validation_share=0.3, test_share=0.3)
    drawn = assign_splits(text_key64([str(i) for i in range(10)]), config).tolist()
    assert [name[:2] for name in drawn] == ["te", "te", "tr", "te", "te", "te", "tr", "va", "tr", "te"]


def test_shares_are_what_they_say_and_another_seed_is_another_split():
    values = text_key64([str(i) for i in range(20_000)])
    splits = assign_splits(values, DocumentsConfig(validation_share=0.05, test_share=0.1))
    for name, share in (("train", 0.85), ("validation", 0.05), ("test", 0.1)):
        assert abs((splits == name).mean() - share) < 0.01
    other = assign_splits(values, DocumentsConfig(validation_share=0.05, test_share=0.1, seed=8))
    assert 0.7 < (splits == other).mean() < 0.8  # as two independent draws agree


def test_no_held_out_share_means_everything_trains():
    values = text_key64([str(i) for i in range(1000)])
    assert set(assign_splits(values, DocumentsConfig(validation_share=0.0, test_share=0.0))) == {"train"}
    with pytest.raises(ConfigError):
        DocumentsConfig(validation_share=0.5, test_share=0.5)


def test_texts_that_are_equal_once_cleaned_are_one_document_and_share_a_split_across_slices(store, tmp_path):
    texts = documents(60)
    variants = [f"\ufeff{text}  \r\n\n\n".replace("é", "e\u0301") for text in texts]
    one = split_of(store, tmp_path / "a", [*texts, *variants])
    other = split_of(store, tmp_path / "b", [*reversed(variants), *documents(20, seed=1)])
    dropped = documents_of(store, raw_of(store, tmp_path / "a", [*texts, *variants])).read_json("dropped.json")
    assert dropped["duplicate"] == len(one) == len(texts)
    assert {text: other[text] for text in texts} == one
    assert set(one.values()) == {"train", "validation", "test"}


def test_a_document_that_arrives_moves_no_other(store, tmp_path):
    few = split_of(store, tmp_path / "a", documents(40))
    many = split_of(store, tmp_path / "b", [*documents(40, seed=1), *documents(40)])
    assert few.items() < many.items()


def test_the_first_of_equal_texts_is_kept_with_its_origin_and_text_id(store, tmp_path):
    text = documents(1)[0]
    (row,) = rows_of(documents_of(store, raw_of(store, tmp_path, [text + "\n", text])))
    assert row["origin"] == "rows.jsonl#line:1,byte:0"
    assert int(row["text_id"][:16], 16) == text_key64([text])[0]  # the split's key is the digest's first 8 bytes
