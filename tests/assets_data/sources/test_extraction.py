"""Extraction: the same records from every format; a bad row is refused by line, or counted under its ceiling."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets_data.lineage import ConfigError, DataError
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.extract_config import ExtractConfig, QaConfig
from assets_data.sources.files import FilesSource

SQUAD = [
    {"data": {"q": "Who?", "passage": "Ada wrote it."}, "answers": [{"text": "Ada"}, {"text": "Eve"}], "fold": "dev"},
    {"data": {"q": "How many?", "passage": None}, "answers": [{"text": 42}], "fold": "Train"},
]
QA = QaConfig(question="data.q", answer="answers[0].text", context="data.passage")


def write(path, rows):
    if path.suffix == ".parquet":
        texts = [{**row, "answers": [{"text": str(a["text"])} for a in row["answers"]]} for row in rows]
        pq.write_table(pa.Table.from_pylist(texts), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))


def extracted(root, dropped=None, **settings):
    files = FilesConfig(root=str(root), patterns=("**/*.*",))
    source = FilesSource(SourceConfig(source="files", shards=1, files=files, extract=ExtractConfig(**settings)))
    dropped = Counter() if dropped is None else dropped
    return [record for part in source.parts("files-0") for record in source.records(part, dropped)]


def refusal(root, **settings):
    with pytest.raises(DataError) as error:
        extracted(root, **settings)
    return error.value.code, str(error.value.where)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_question_context_and_answer_become_prompt_and_response_in_every_format(tmp_path, name):
    write(tmp_path / name, SQUAD)
    records = extracted(tmp_path, qa=QA, split_field="fold")
    assert [record.prompt for record in records] == ["Ada wrote it.\n\nWho?", "How many?"]
    assert [record.text for record in records] == ["Ada", "42"]
    assert [record.split for record in records] == ["validation", "train"]


def test_templates_are_the_configs_and_braces_in_a_value_are_text(tmp_path):
    write(tmp_path / "a.jsonl", [{"q": "{answer}{0}", "a": "{question}", "c": ""}])
    qa = QaConfig(question="q", answer="a", prompt_template="Q: {question}\nA:", response_template=" {answer}.")
    (record,) = extracted(tmp_path, qa=qa)
    assert (record.prompt, record.text) == ("Q: {answer}{0}\nA:", "{question}.")


def test_several_fields_are_joined_in_the_order_of_the_config(tmp_path):
    write(tmp_path / "a.jsonl", [{"title": "T", "body": ["B", None, "C"]}])
    (record,) = extracted(tmp_path, fields=("body", "title"), separator=" | ")
    assert (record.text, record.prompt, record.split) == ("B | C | T", "", "")


@pytest.mark.parametrize("bad", [{"q": "x"}, {"q": "x", "a": None}, {"q": "x", "a": []}, {"q": " ", "a": "y"}])
def test_f11_a_pair_without_question_or_answer_is_refused_by_line_or_skipped_and_counted(tmp_path, bad):
    write(tmp_path / "a.jsonl", [{"q": "x", "a": "y"}, bad, {"q": "z", "a": "y"}])
    qa = QaConfig(question="q", answer="a")
    assert refusal(tmp_path, qa=qa) == ("ROW_NO_TEXT", "a.jsonl:2")
    dropped = Counter()
    assert [r.prompt for r in extracted(tmp_path, dropped, qa=qa, skip_missing=True)] == ["x", "z"]
    assert +dropped == {"missing": 1}


def test_f11_skipping_what_is_missing_does_not_excuse_what_is_malformed(tmp_path):
    for bad in ("[1]", '{"text": {}}', "{"):
        write(tmp_path / "a.jsonl", [{"text": "x"}, bad])
        assert refusal(tmp_path, skip_missing=True)[1] == "a.jsonl:2"


def test_a_file_gives_its_split_by_its_path_and_the_first_pattern_decides(tmp_path):
    for name in ("en/dev-0.jsonl", "en/train-0.jsonl", "fr/train-0.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, [{"text": name}])
    records = extracted(tmp_path, split_paths=("validation=*dev-*", "test=fr/*", "train=*"))
    assert {r.text: r.split for r in records} == {
        "en/dev-0.jsonl": "validation",
        "en/train-0.jsonl": "train",
        "fr/train-0.jsonl": "test",
    }


def test_f11_an_unknown_or_missing_split_is_refused_by_line(tmp_path):
    write(tmp_path / "a.jsonl", [{"text": "x", "fold": "train"}, {"text": "y", "fold": "holdout"}])
    assert refusal(tmp_path, split_field="fold") == ("ROW_SPLIT", "a.jsonl:2")
    write(tmp_path / "a.jsonl", [{"text": "x", "fold": "train"}, {"text": "y"}])
    assert refusal(tmp_path, split_field="fold") == ("ROW_SPLIT", "a.jsonl:2")


@pytest.mark.parametrize("split", ["null", '""', "NaN", "[]"])
def test_a_row_that_says_nothing_of_its_split_has_it_drawn_or_its_files(tmp_path, split):
    write(tmp_path / "a.jsonl", [f'{{"text": "x", "fold": {split}}}', {"text": "y", "fold": "dev"}])
    assert [record.split for record in extracted(tmp_path, split_field="fold")] == ["", "validation"]
    records = extracted(tmp_path, split_field="fold", split_paths=("test=*",))
    assert [record.split for record in records] == ["test", "validation"]


def test_folders_named_key_value_are_fields_that_a_row_may_be_without(tmp_path):
    for folder, rows in {
        "lang=en/split=test": [{"text": "a"}],
        "lang=pt%2Dbr/split=train": [{"text": "b", "lang": "own"}],
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        write(tmp_path / folder / "a.jsonl", rows)
        write(tmp_path / folder / "b.parquet", [{**row, "answers": []} for row in rows])
        (tmp_path / folder / "c.txt").write_text("whole")
    records = extracted(tmp_path, fields=("text", "lang"), separator="|", split_field="split")
    found = {record.origin.partition("#")[0]: (record.text, record.split) for record in records}
    assert found == {
        "lang=en/split=test/a.jsonl": ("a|en", "test"),
        "lang=en/split=test/b.parquet": ("a|en", "test"),
        "lang=en/split=test/c.txt": ("whole", "test"),
        "lang=pt%2Dbr/split=train/a.jsonl": ("b|own", "train"),
        "lang=pt%2Dbr/split=train/b.parquet": ("b|own", "train"),
        "lang=pt%2Dbr/split=train/c.txt": ("whole", "train"),
    }
    (tmp_path / "lang=__HIVE_DEFAULT_PARTITION__").mkdir()
    write(tmp_path / "lang=__HIVE_DEFAULT_PARTITION__" / "a.jsonl", [{"text": "c"}])
    assert refusal(tmp_path, fields=("lang",))[0] == "ROW_NO_TEXT"


@pytest.mark.parametrize("field", ["question", "answer"])
def test_of_a_question_or_an_answer_only_one_may_be_meant(tmp_path, field):
    row = {"q": {"t": ["x"]}, "a": {"t": ["y", "y"]}, "c": ["one", "two", "two"]}
    write(tmp_path / "a.jsonl", [row])
    qa = QaConfig(question="q.t", answer="a.t", context="c")
    (record,) = extracted(tmp_path, qa=qa)
    assert (record.prompt, record.text) == ("one\n\ntwo\n\ntwo\n\nx", "y")
    key = field[0]
    write(tmp_path / "a.jsonl", [{**row, key: {"t": ["y", "z", "z"]}}])
    with pytest.raises(DataError, match=rf"found 3 at '{key}.t' .*{key}.t\[0\]") as error:
        extracted(tmp_path, qa=qa)
    assert (error.value.code, error.value.where) == ("ROW_LIST", "a.jsonl:1")
    dropped = Counter()
    assert extracted(tmp_path, dropped, qa=qa, max_malformed=1) == [] and +dropped == {"malformed": 1}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"body": "x"}, "no 'a.text' among ['body']"),
        ({"a": {"text": None}}, "null at 'a.text'"),
        ({"a": {"text": []}}, "a list without a text at 'a.text'"),
        ('{"a": {"text": NaN}}', "a number that is none at 'a.text'"),
        ({"a": {"text": [{"x": 1}]}}, "an object at 'a.text'"),
        ({"a": {"text": True}}, "true or false at 'a.text'"),
        ("null", "a row that is null"),
        ('"just a text"', "a row that is a string"),
        ("[1, 2]", "a row that is a list"),
    ],
)
def test_a_refusal_says_what_is_there(tmp_path, row, found):
    write(tmp_path / "a.jsonl", [row])
    with pytest.raises(DataError) as error:
        extracted(tmp_path, fields=("a.text",))
    assert error.value.found == found and "None" not in str(error.value)


def test_a_refusal_of_a_dotted_name_says_how_it_is_written(tmp_path):
    write(tmp_path / "a.jsonl", [{"a.text": "x"}])
    with pytest.raises(DataError, match=r"""write '\["a.text"\]'"""):
        extracted(tmp_path, fields=("a.text",))
    assert [record.text for record in extracted(tmp_path, fields=('["a.text"]',))] == ["x"]


MALFORMED = ["{", '{"text": true}', '{"text": "\\ud800"}', "[]"]


def test_f11_malformed_rows_of_every_kind_are_counted_up_to_the_ceiling_and_no_further(tmp_path):
    good = [{"text": str(i)} for i in range(6)]
    write(tmp_path / "a.jsonl", [*good[:3], *MALFORMED, *good[3:]])
    for ceiling in (
        {"max_malformed": 4},
        {"max_malformed_share": 0.4},
        {"max_malformed": 1, "max_malformed_share": 0.4},
    ):
        dropped = Counter()
        assert [r.text for r in extracted(tmp_path, dropped, **ceiling)] == [row["text"] for row in good]
        assert +dropped == {"malformed": 4}
    for ceiling in ({"max_malformed": 3}, {"max_malformed_share": 0.39}):
        assert refusal(tmp_path, **ceiling) == ("ROWS_MALFORMED", "a.jsonl:4")
    assert refusal(tmp_path) == ("ROW_NOT_JSON", "a.jsonl:4")


def test_f11_the_ceiling_is_per_file(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path / name, [{"text": "x"}, "{", "{"])
    assert len(extracted(tmp_path, max_malformed=2)) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"fields": ()},
        {"fields": ("a..b",)},
        {"qa": QaConfig(question="q")},
        {"qa": QaConfig(context="c")},
        {"qa": QaConfig(question="q", answer="a"), "fields": ("body",)},
        {"qa": QaConfig(question="q", answer="a", prompt_template="{answer}{question}")},
        {"qa": QaConfig(question="q", answer="a", prompt_template="no field")},
        {"qa": QaConfig(question="q", answer="a", prompt_template="{question.__class__}")},
        {"qa": QaConfig(question="q", answer="a", prompt_template="{question")},
        {"qa": QaConfig(question="q", answer="a", response_template="{answer}{question}")},
        {"split_paths": ("dev=*",)},
        {"split_paths": ("train",)},
        {"max_malformed": -1},
        {"max_malformed_share": 1.0},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings):
    with pytest.raises(ConfigError) as error:
        ExtractConfig(**settings)
    assert error.value.code == "EXTRACT_CONFIG"


def test_a_source_without_rows_refuses_extraction():
    with pytest.raises(ConfigError, match="extract"):
        SourceConfig(extract=ExtractConfig(skip_missing=True))
