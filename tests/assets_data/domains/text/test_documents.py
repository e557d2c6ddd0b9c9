"""Documents: prompts cleaned like texts, pairs judged as a whole, the source's own splits kept, threads not seen."""

import dataclasses
import hashlib
import json
from collections import Counter

import pytest

from assets_data.domains.text.cleaned import text_digest
from assets_data.domains.text.config import DocumentsConfig
from assets_data.domains.text.documents import FOUND_HERE
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.schemas import schema_failures
from assets_data.lineage import Store, merkle_root, to_dict
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.sources.extract_config import ExtractConfig, QaConfig
from tests.assets_data.domains.text.corpora import TEXT, documents, documents_of, raw_of, rows_of, source_of

CONFIG = dataclasses.replace(TEXT, documents=DocumentsConfig(min_chars=8, min_letter_share=0.2))


def pairs_of(store, root, rows, **settings):
    """A raw slice of (prompt, response, split) rows."""
    root.mkdir(parents=True)
    lines = [json.dumps({"q": q, "a": a, "s": s}) for q, a, s in rows]
    (root / "pairs.jsonl").write_text("\n".join(lines))
    extract = ExtractConfig(qa=QaConfig(question="q", answer="a"), **settings)
    return make_raw_slice(store, "files-0", source_of(root, extract=extract))


def read(store, raw, config=CONFIG):
    made = documents_of(store, raw, config)
    return rows_of(made), +Counter(made.read_json("dropped.json"))


def test_a_prompt_is_cleaned_like_a_text_and_the_text_id_covers_both(store, tmp_path):
    raw = pairs_of(store, tmp_path / "in", [("What\r\nis e\u0301 ?  \n\nx", "an accent\x07", "")])
    ((row,), dropped) = read(store, raw)
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
    kept, dropped = read(store, pairs_of(store, tmp_path / "in", rows))
    assert [row["text"] for row in kept] == ["2"] and dropped == {"too_short": 3}


def test_a_pair_is_as_long_as_prompt_line_end_and_response(store, tmp_path):
    raw = pairs_of(store, tmp_path / "in", [("abcde", "fghij", "")])
    for most, count in ((11, 1), (10, 0)):
        config = dataclasses.replace(CONFIG, documents=dataclasses.replace(CONFIG.documents, max_chars=most))
        kept, dropped = read(store, raw, config)
        assert len(kept) == count and dropped == ({} if count else {"too_long": 1})


def test_a_text_without_a_prompt_among_pairs_is_judged_by_itself(store, tmp_path):
    plain = "a text without any prompt"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "pairs.jsonl").write_text(json.dumps({"q": "What is one and one?", "a": "2"}))
    for name, text in (("plain", plain), ("short", "ab")):
        (tmp_path / "in" / f"{name}.txt").write_text(text)
    extract = ExtractConfig(qa=QaConfig(question="q", answer="a"))
    kept, dropped = read(store, make_raw_slice(store, "files-0", source_of(tmp_path / "in", extract=extract)))
    assert [(row["prompt"], row["text"]) for row in kept] == [("What is one and one?", "2"), ("", plain)]
    assert dropped == {"too_short": 1} and kept[1]["text_id"] == hashlib.sha256(plain.encode()).hexdigest()


def test_the_same_response_to_another_prompt_is_another_document(store, tmp_path):
    rows = [("What is one and one?", "2", ""), ("What is two times one?", "2", ""), ("What is one and one?", "2", "")]
    kept, dropped = read(store, pairs_of(store, tmp_path / "in", rows))
    assert len(kept) == 2 and dropped == {"duplicate": 1}


def test_no_pair_has_the_digest_of_another_pair_or_text():
    same = [("", "ab"), ("a", "b"), ("", "a\nb"), ("ab", ""), ("a", "\nb"), ("a\n", "b")]
    assert len({text_digest(*pair) for pair in same[:3] + same[4:]}) == 5
    assert text_digest("", "ab") == hashlib.sha256(b"ab").digest()  # as it always was for plain text


def test_the_sources_own_split_stays_and_of_a_text_in_two_splits_the_first_is_kept(store, tmp_path):
    names = ["train", "dev", "test"]
    rows = [(f"Question number {i}?", f"answer {i}", names[i % 3]) for i in range(30)]
    rows += [(q, a, "test") for q, a, _ in rows[:3]]
    kept, dropped = read(store, pairs_of(store, tmp_path / "in", rows, split_field="s"))
    assert [row["split"] for row in kept] == ["train", "validation", "test"] * 10 and dropped == {"duplicate": 3}


@pytest.mark.parametrize("threads", [1, 3])
def test_row_groups_and_threads_change_nothing(store, tmp_path, monkeypatch, threads):
    texts = [*documents(50), *documents(20), "short"]
    whole = documents_of(store, raw_of(store, tmp_path / "in", texts))
    monkeypatch.setattr("assets_data.domains.text.raw_slice.ROW_GROUP_BYTES", 5_000)
    monkeypatch.setattr("polars.thread_pool_size", lambda: threads)
    (tmp_path / "in" / "again").mkdir()
    again = Store(tmp_path / "again")
    raw = raw_of(again, tmp_path / "in" / "again", texts)
    assert raw.table("records.parquet")["text"].num_chunks > 5
    cut_up = documents_of(again, raw)
    assert cut_up.table("documents.parquet")["text"].num_chunks > 5 and cut_up.id == whole.id
    assert rows_of(cut_up) == rows_of(whole) and len(rows_of(whole)) == 50
    assert +Counter(cut_up.read_json("dropped.json")) == {"duplicate": 20, "too_short": 1}


def test_a_record_whose_text_an_earlier_one_has_is_listed_with_it_wherever_it_lies(store, tmp_path, monkeypatch):
    monkeypatch.setattr("assets_data.domains.text.raw_slice.ROW_GROUP_BYTES", 5_000)  # so that groups lie between
    texts = documents(20)
    spelled = [f"{texts[3]}  \r\n", f"\ufeff{texts[3]}", texts[5], texts[7].replace("é", "e\u0301")]
    raw = raw_of(store, tmp_path / "in", [*texts, *spelled])
    made = documents_of(store, raw)
    records = raw.table("records.parquet")["record_id"].to_pylist()
    text_ids = {row["record_id"]: row["text_id"] for row in rows_of(made)}
    assert list(text_ids) == records[:20]
    again = made.table("repeats.parquet").to_pylist()
    assert [row["record_id"] for row in again] == records[20:]
    assert [row["text_id"] for row in again] == [text_ids[records[i]] for i in (3, 3, 5, 7)]
    assert made.read_json("dropped.json")["duplicate"] == 4
    assert made.content["records"] == {"count": 23, "root": merkle_root(records)}  # one of the 24 is a record twice


def test_every_raw_row_is_a_document_or_counted_under_one_reason(store, tmp_path):
    texts = documents(12)
    odd = ["short", "tiny", "1234, " * 20, *["one line of it\n" * 30] * 2, "long " * 600, texts[0], f"{texts[1]}\n"]
    config = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, max_chars=2_900))
    raw = raw_of(store, tmp_path / "in", [*texts, *odd])
    made = documents_of(store, raw, config)
    dropped = made.read_json("dropped.json")
    assert dropped == dict.fromkeys(FOUND_HERE, 0) | {
        "too_short": 2,
        "too_long": 1,
        "few_letters": 1,
        "repetitive": 2,
        "duplicate": 2,
    }
    assert tuple(dropped) == tuple(sorted(FOUND_HERE))
    assert made.stats.items() >= {"rows": 12, "dropped": dropped}.items()
    assert len(rows_of(made)) + sum(dropped.values()) == raw.stats["rows"] == 20
    assert made.table("repeats.parquet").num_rows == dropped["duplicate"]


def test_settings_and_the_notes_of_the_source_travel_and_the_receipt_names_only_what_was_read(store, tmp_path):
    raw = pairs_of(store, tmp_path / "in", [("What is one and one?", "2", "")])
    made = documents_of(store, raw, CONFIG)
    assert made.read_json("settings.json") == to_dict(CONFIG.documents)
    notes = raw.read_json("parts.json")
    assert made.read_json("source.json") == {"licence": notes["licence"], "origin": notes["origin"]}
    receipt = read_receipt(made.receipt)
    assert receipt.config == {"documents": to_dict(CONFIG.documents)} and receipt.seeds == {"split": 7}
    assert [(parent.input, parent.id) for parent in receipt.parents] == [("raw_slice", raw.id)]
    windowed = dataclasses.replace(CONFIG, triples=dataclasses.replace(CONFIG.triples, window=64))
    assert documents_of(store, raw, windowed).reused  # what it does not read makes it no other


@pytest.mark.parametrize("texts", [["short"], ["short", "", "\x07"]])
def test_a_slice_of_which_nothing_is_kept_has_documents_all_the_same(store, tmp_path, texts):
    made = documents_of(store, raw_of(store, tmp_path / "in", texts))
    assert rows_of(made) == [] and made.content["records"] == {"count": 0, "root": merkle_root([])}
    assert +Counter(made.read_json("dropped.json")) == {"too_short": len(texts)} and schema_failures(made) == []
    made.verify(deep=True)


def test_a_raw_slice_without_a_record_left_has_documents_all_the_same(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(3))
    gone = frozenset(bytes.fromhex(record) for record in raw.table("records.parquet")["record_id"].to_pylist())
    emptied = raw_of(Store(store.root, withdrawing=gone), tmp_path / "in", documents(3))
    assert emptied.table("records.parquet").num_rows == 0
    made = documents_of(store, emptied)
    assert rows_of(made) == [] and schema_failures(made) == []
    assert made.read_json("dropped.json") == dict.fromkeys(FOUND_HERE, 0)
