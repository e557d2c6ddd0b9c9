"""The two ways a model sees a row, on rows written out by hand and on stored ones."""

import numpy as np
import pytest
import torch

from assets_data.domains.text.read import Triple
from assets_data.lineage import Store
from tests.training.triples import BOS, EOS, PAD, SIZES, make_manifest, windows
from training.tokens.data import open_tokens
from training.tokens.rows import IGNORED, join, joined_batch, longest, pad_batch, tokens_per_row

SHORT = Triple(np.array([1, 10]), np.array([1, 20]), np.array([20, 2]))
LONG = Triple(np.array([1, 10, 11]), np.array([1, 20, 21, 22]), np.array([20, 21, 22, 2]))


class Listed:
    pad = 0

    def __init__(self, *triples):
        self.triples = triples

    def __len__(self):
        return len(self.triples)

    def __getitem__(self, row):
        return self.triples[row]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return open_tokens(store, make_manifest(store), joined=True)


def test_a_joined_row_is_one_text_whose_suffix_is_predicted_from_the_prefixs_last_token_on():
    ids, labels = join(LONG)
    assert ids.tolist() == [1, 10, 11, 20, 21, 22]
    assert labels.tolist() == [IGNORED, IGNORED, 20, 21, 22, 2]
    assert [a.tolist() for a in join(SHORT)] == [[1, 10, 20], [IGNORED, 20, 2]]


def test_a_joined_batch_is_padded_at_the_end_and_padding_is_not_judged():
    batch = joined_batch(Listed(SHORT, LONG), np.array([1, 0]))
    assert batch["input_ids"].tolist() == [[1, 10, 11, 20, 21, 22], [1, 10, 20, 0, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 20, 21, 22, 2], [-100, 20, 2, -100, -100, -100]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_both_views_judge_the_same_labels(data):
    rows = np.arange(20)
    apart, joined = pad_batch(data, rows)["labels"], joined_batch(data, rows)["labels"]
    assert [row[row != -100].tolist() for row in apart] == [row[row != -100].tolist() for row in joined]
    text = windows("s-0", "train", SIZES["train"])[3].tolist()
    ids, labels = join(data[3])
    assert ids.tolist() == [BOS, *text] and labels[labels != IGNORED].tolist() == [*text[len(text) // 2 :], EOS]
    assert data.pad == PAD


@pytest.mark.parametrize("joined", [False, True])
def test_lengths_are_those_of_the_sequences_the_model_reads(data, joined):
    def sizes(row):
        return [len(join(row)[0])] if joined else [len(row.encoder_ids), len(row.labels)]

    for rows in (data.train, data.test, Listed(SHORT, LONG)):
        every = [sizes(rows[row]) for row in range(len(rows))]
        assert longest(rows, joined) == max(max(each) for each in every)
        assert tokens_per_row(rows, joined) == pytest.approx(np.mean([sum(each) for each in every]))
    assert longest(Listed(), joined) == 0 == tokens_per_row(Listed(), joined)
    assert data.items_per_row == tokens_per_row(data.train, True)
