"""Documents: prompts cleaned like texts, pairs judged as a whole, the source's own splits kept, threads not seen."""

import hashlib
import json
from collections import Counter

import pytest

from assets_data.domains.text.config import DocumentsConfig
from assets_data.domains.text.documents import iter_documents, text_digest
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.sources.extract_config import ExtractConfig, QaConfig
from tests.assets_data.domains.text.corpora import TEXT, documents, raw_of, source_of

CONFIG = DocumentsConfig(min_chars=8, min_letter_share=0.2)


def pairs_of(store, root, rows, **settings):
    """A raw slice of (prompt, response, split) rows."""
    root.mkdir(parents=True)
    lines = [json.dumps({"q": q, "a": a, "s": s}) for q, a, s in rows]
    (root / "pairs.jsonl").write_text("\n".join(lines))
    extract = ExtractConfig(qa=QaConfig(question="q", answer="a"), **settings)
    return make_raw_slice(store, "files-0", source_of(root, extract=extract))


def read(raw, config=CONFIG):
    dropped = Counter()
    rows = [row for frame in iter_documents(raw, config, dropped) for row in frame.to_dicts()]
    return rows, +dropped


def test_a_prompt_is_cleaned_like_a_text_and_the_text_id_covers_both(store, tmp_path):
    raw = pairs_of(store, tmp_path / "in", [("What\r\nis e\u0301 ?  \n\nx", "an accent\x07", "")])
    ((row,), dropped) = read(raw)
    assert (row["prompt"], row["text"]) == ("What\nis é ?\n\nx", "an accent") and not dropped
    assert row["text_id"] == hashlib.sha256("What\nis é ?\n\nx\0an accent".encode()).hexdigest()
    assert row["record_id"] == raw.table("records.parquet")["record_id"][0].as_py()


def test_the_bounds_hold_for_prompt_and_response_together_but_neither_may_be_empty(store, tmp_path):
    rows = [
        ("What is one and one?", "2", ""),
        ("ab?", "1", ""),
        ("What is nothing?", "\x07", ""),
        ("\x07", "a" * 40, ""),
    ]
    kept, dropped = read(pairs_of(store, tmp_path / "in", rows))
    assert [row["text"] for row in kept] == ["2"] and dropped == {"too_short": 3}


def test_the_same_response_to_another_prompt_is_another_document(store, tmp_path):
    rows = [("What is one and one?", "2", ""), ("What is two times one?", "2", ""), ("What is one and one?", "2", "")]
    kept, dropped = read(pairs_of(store, tmp_path / "in", rows))
    assert len(kept) == 2 and dropped == {"duplicate": 1}


def test_no_pair_has_the_digest_of_another_pair_or_text():
    same = [("", "ab"), ("a", "b"), ("", "a\nb"), ("ab", ""), ("a", "\nb"), ("a\n", "b")]
    assert len({text_digest(*pair) for pair in same[:3] + same[4:]}) == 5
    assert text_digest("", "ab") == hashlib.sha256(b"ab").digest()  # as it always was for plain text


def test_the_sources_own_split_stays_and_of_a_text_in_two_splits_the_first_is_kept(store, tmp_path):
    names = ["train", "dev", "test"]
    rows = [(f"Question number {i}?", f"answer {i}", names[i % 3]) for i in range(30)]
    rows += [(q, a, "test") for q, a, _ in rows[:3]]
    kept, dropped = read(pairs_of(store, tmp_path / "in", rows, split_field="s"))
    assert [row["split"] for row in kept] == ["train", "validation", "test"] * 10 and dropped == {"duplicate": 3}


@pytest.mark.parametrize("threads", [1, 3])
def test_row_groups_and_threads_change_nothing(store, tmp_path, monkeypatch, threads):
    texts = [*documents(50), *documents(20), "short"]
    whole = read(raw_of(store, tmp_path / "in", texts), TEXT.documents)
    monkeypatch.setattr("assets_data.domains.text.raw_slice.ROW_GROUP_BYTES", 5_000)
    monkeypatch.setattr("polars.thread_pool_size", lambda: threads)
    (tmp_path / "in" / "again").mkdir()
    cut_up = raw_of(type(store)(tmp_path / "again"), tmp_path / "in" / "again", texts)
    assert cut_up.table("records.parquet")["text"].num_chunks > 5
    assert read(cut_up, TEXT.documents) == whole and whole[1] == {"duplicate": 20, "too_short": 1}
