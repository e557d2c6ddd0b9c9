"""Own data with one config file: pairs in JSON lines and a Parquet dump, through every data stage."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets_data.domains.text.duplicates import make_duplicates
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.rows import TripleTable
from assets_data.domains.text.tokenizer import load_tokenizer, make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import ConfigError, resolve
from assets_data.sources.config import SourceConfig
from assets_data.sources.stdlib import StdlibSource
from pipeline_defs.commands.chain import DATA, chain_config
from pipeline_defs.commands.settings import merge_settings, read_settings

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
    records = [record for part in source.parts("stdlib-0") for record in source.records(part, Counter())]
    named = [record for record in records if "#docstring:" in record.origin and len(record.text) > 60]
    rows = [{"item": {"question": f"What is {r.origin}?", "answers": [{"text": r.text}]}} for r in named]
    pq.write_table(pa.Table.from_pylist([*rows, {"item": None}]), root / "dump.parquet")
    (root / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root, rows


def configs(path):
    """The resolved config of every data stage under a settings file."""
    ops = chain_config("walk_lm", "smoke", read_settings(path))["ops"]
    chosen = {name: ops[f"text__{name}"]["config"] for name in DATA}
    return {name: resolve(DATA[name], chosen[name]["preset"], chosen[name]["overrides"]) for name in DATA}


def prepared(store, path):
    """The snapshots of the whole data side."""
    config = configs(path)
    raw = make_raw_slice(store, "files-0", config["raw_slice"])
    tokenizer = make_tokenizer(store, [raw], config["tokenizer"])
    duplicates = make_duplicates(store, {"files-0": raw}, config["duplicates"])
    triples = make_triples(store, raw, tokenizer, config["triples"], duplicates)
    walks = make_walk_corpus(store, [triples], tokenizer, config["walk_corpus"])
    return raw, tokenizer, triples, make_dataset_manifest(store, {"files-0": triples}, tokenizer, walks)


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
    assert settings == {"raw_slice": {"source": "files", "files.root": "x", "files.patterns": ["*"]}}
    merged = merge_settings(settings, {"raw_slice": {"files.root": "y"}, "text": {"triples.window": 9}})
    assert merged["raw_slice"]["files.root"] == "y" and merged["raw_slice"]["source"] == "files"
    assert merged["text"] == {"triples.window": 9}


@pytest.mark.parametrize("name", ["a.toml", "a.json"])
def test_a_mark_before_a_settings_file_is_no_content(tmp_path, name):
    text = "[raw_slice]\nshards = 3\n" if name == "a.toml" else '{"raw_slice": {"shards": 3}}'
    found = []
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / name).write_bytes(mark + text.encode())
        found.append(read_settings(tmp_path / name))
    assert found[0] == found[1] != {}


def test_text_settings_reach_every_stage_that_shares_them_and_a_stages_own_win(tmp_path):
    overrides = {"text": {"documents.min_chars": 5}, "triples": {"triples.window": 99, "documents.min_chars": 6}}
    ops = chain_config("walk_lm", "smoke", overrides)["ops"]
    chosen = {name: ops[f"text__{name}"]["config"]["overrides"] for name in DATA}
    assert chosen["tokenizer"] == chosen["duplicates"] == {"documents.min_chars": 5}
    assert chosen["triples"] == {"documents.min_chars": 6, "triples.window": 99}
    assert chosen["raw_slice"] == chosen["walk_corpus"] == {}


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
