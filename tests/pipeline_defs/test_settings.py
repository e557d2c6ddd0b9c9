"""Own data with one config file: pairs in JSON lines and a Parquet dump, through every data stage."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets_data.domains.text.documents import make_documents
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.read import TripleTable
from assets_data.domains.text.tokenizer import load_tokenizer, make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import ConfigError
from assets_data.sources.config import SourceConfig
from assets_data.sources.stdlib import StdlibSource
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.chain import plan_chain
from pipeline_defs.commands.settings import chosen_settings, read_settings, stage_overrides

PAIRS = """
[raw_slice]
source = "files"
shards = 1
parts_per_slice = 0
files = {{root = "{root}", patterns = ["*.jsonl"]}}
extract.qa = {{question = "item.question", answer = "item.answers[0].text"}}
[text]
triples = {{window = 512, truncate_prompts = true}}
"""
DUMP = """
[raw_slice]
source = "files"
shards = 1
parts_per_slice = 0
files = {{root = "{root}", patterns = ["*.parquet"]}}
extract = {{fields = ["item.answers[0].text"], skip_missing = true}}
"""


@pytest.fixture(scope="module")
def docstrings(tmp_path_factory):
    """A folder with the same rows as JSON lines and as Parquet: what a name means, by its docstring."""
    root = tmp_path_factory.mktemp("own")
    source = StdlibSource(SourceConfig(shards=12))
    records = [record for part in source.parts("stdlib-00") for record in source.records(part, Counter())]
    named = [record for record in records if "#docstring:" in record.origin and len(record.text) > 60]
    rows = [{"item": {"question": f"What is {r.origin}?", "answers": [{"text": r.text}]}} for r in named]
    pq.write_table(pa.Table.from_pylist([*rows, {"item": None}]), root / "dump.parquet")
    (root / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root, rows


def prepared(store, path):
    """The snapshots of the whole data side, under the settings of a file."""
    chain = plan_chain("walk_lm", "smoke", read_settings(path))
    config = {stage.kind: chain.config(stage) for stage in chain.stages}
    raw = make_raw_slice(store, "files-0", config["text/raw_slice"])
    documents = make_documents(store, raw, config["text/documents"])
    tokenizer = make_tokenizer(store, {"files-0": documents}, config["text/tokenizer"])
    triples = make_triples(store, documents, tokenizer, config["text/triples"])
    make_walk_corpus(store, {"files-0": triples}, tokenizer, config["text/walk_corpus"])
    return raw, tokenizer, triples, make_dataset_manifest(store, {"files-0": triples}, tokenizer)


def settings_file(tmp_path, text, root):
    path = tmp_path / "own.toml"
    path.write_text(text.format(root=root))
    return path


def test_pairs_in_json_lines_become_prompts_for_the_encoder_and_responses_for_the_decoder(store, tmp_path, docstrings):
    root, rows = docstrings
    raw, tokenizer, triples, manifest = prepared(store, settings_file(tmp_path, PAIRS, root))
    asked = {row["item"]["question"]: row["item"]["answers"][0]["text"] for row in rows}
    assert raw.stats["rows"] == len(rows)
    decode, table = load_tokenizer(tokenizer).decode, TripleTable(triples.file("train.arrow"))
    assert len(table) > 100
    for index in range(0, len(table), 10):
        encoder_ids, _, labels = table[index]
        prompt, response = decode(encoder_ids[1:].tolist()), decode(labels[:-1].tolist())
        assert any(question.endswith(prompt) and answer.startswith(response[:40]) for question, answer in asked.items())
    assert manifest.read_json("manifest.json")["members"]["triples"] == {"files-0": triples.id}


def test_a_parquet_dump_with_nested_columns_becomes_text_and_what_is_missing_is_counted(store, tmp_path, docstrings):
    root, rows = docstrings
    raw, _, triples, manifest = prepared(store, settings_file(tmp_path, DUMP, root))
    assert (raw.stats["rows"], raw.stats["missing"]) == (len(rows), 1)
    assert raw.table("records.parquet")["text"].to_pylist() == [row["item"]["answers"][0]["text"] for row in rows]
    assert manifest.read_json("manifest.json")["members"]["triples"] == {"files-0": triples.id}


def test_toml_and_json_say_the_same_and_the_command_line_wins(tmp_path):
    (tmp_path / "a.toml").write_text('[raw_slice]\nsource = "files"\nfiles = {root = "x", patterns = ["*"]}\n')
    (tmp_path / "a.json").write_text('{"raw_slice": {"source": "files", "files": {"root": "x", "patterns": ["*"]}}}')
    settings = read_settings(tmp_path / "a.toml")
    assert settings == read_settings(tmp_path / "a.json")
    assert settings == {"raw_slice.source": "files", "raw_slice.files.root": "x", "raw_slice.files.patterns": ["*"]}
    both = chosen_settings(tmp_path / "a.toml", ["raw_slice.files.root=y", "triples.window=9"])
    assert both == {**settings, "raw_slice.files.root": "y", "triples.window": 9}


def overrides_of(*settings, recipe="walk_lm"):
    """What settings change, by stage, for the stages that they change."""
    stages = catalogue().above([f"{recipe}/gate_report"])
    found = stage_overrides(chosen_settings(None, settings), stages)
    return {kind: fields for kind, fields in found.items() if fields}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("text.triples.window=9", {"text/triples": {"triples.window": 9}}),
        ("triples.window=9", {"text/triples": {"triples.window": 9}}),
        ("triples.triples.window=9", {"text/triples": {"triples.window": 9}}),
        ("text.documents.min_chars=5", {"text/documents": {"documents.min_chars": 5}}),
        (
            "text.duplicates.near=true",
            {"text/duplicates": {"duplicates.near": True}, "text/document_index": {"duplicates.near": True}},
        ),
        ("raw_slice.files.root=x", {"text/raw_slice": {"files.root": "x"}}),
        ("text.raw_slice.source=files", {"text/raw_slice": {"source": "files"}}),
        ("walk_corpus.graph.n=8", {"text/walk_corpus": {"graph.n": 8}}),
        ("walk_lm.train.updates=3", {"walk_lm/preflight_report": {"train.updates": 3}}),
        ("preflight_report.train.updates=3", {"walk_lm/preflight_report": {"train.updates": 3}}),
        (
            "walk_lm.train.optimizer.kwargs.betas=[0.9, 0.99]",
            {"walk_lm/preflight_report": {"train.optimizer.kwargs.betas": [0.9, 0.99]}},
        ),
    ],
)
def test_a_setting_reaches_the_stages_that_read_the_field_and_no_other(setting, expected):
    assert overrides_of(setting) == expected


@pytest.mark.parametrize(
    ("setting", "code", "says"),
    [
        ("text.triples.windw=9", "SETTING_UNKNOWN", "triples.window"),
        ("text.windows=9", "SETTING_UNKNOWN", "triples.window"),
        ("text.seed=9", "SETTING_AMBIGUOUS", "text.triples.triples.seed"),
        ("nothing.seed=9", "SETTING_UNKNOWN", "text.walk_corpus"),
        ("text.raw_slice.windows=9", "SETTING_UNKNOWN", "shards"),
    ],
)
def test_a_path_that_leads_nowhere_lists_the_fields_of_its_own_level(setting, code, says):
    with pytest.raises(ConfigError) as refused:
        overrides_of(setting)
    assert refused.value.code == code and says in str(refused.value)


@pytest.mark.parametrize("name", ["a.toml", "a.json"])
def test_a_mark_before_a_settings_file_is_no_content(tmp_path, name):
    text = "[raw_slice]\nshards = 3\n" if name == "a.toml" else '{"raw_slice": {"shards": 3}}'
    found = []
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / name).write_bytes(mark + text.encode())
        found.append(read_settings(tmp_path / name))
    assert found[0] == found[1] != {}


@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", "= 1"), ("a.json", "{"), ("a.toml", 'source = "files"'), ("a.json", "[1]")]
)
def test_what_is_no_table_per_stage_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as error:
        read_settings(tmp_path / name)
    assert error.value.code == "SETTINGS_FILE"
    with pytest.raises(ConfigError, match="SETTINGS_FILE"):
        read_settings(tmp_path / "missing.toml")
