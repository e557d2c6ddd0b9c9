"""Messages name the level that was meant, the types as JSON knows them, and what can be done about this very thing."""

import json

import pytest

from assets_data.domains.text.config import TextConfig
from assets_data.lineage import ConfigError, DataError, Store, from_dict
from assets_data.sources.config import SourceConfig
from pipeline_defs.answers.nodes import find_id, find_record
from pipeline_defs.commands import cli
from pipeline_defs.commands.chain import plan_chain
from pipeline_defs.commands.settings import parse_settings, read_settings
from tests.assets_data.lineage.mini_chain import make_chain
from training.recipes.walk_lm import RECIPE


@pytest.mark.parametrize(
    ("cls", "values", "says", "never"),
    [
        (TextConfig, {"documents": {"max_char": 1}}, "max_chars", "tokenizer"),
        (RECIPE.config_type, {"train": {"optimizer": {"lr_": 1}}}, "did you mean train.optimizer.lr", "gate.edge"),
        (SourceConfig, {"file": {}}, "it has source, shards", "files.root"),
    ],
)
def test_an_unknown_key_is_answered_with_the_fields_of_its_own_level(cls, values, says, never):
    with pytest.raises(ConfigError) as error:
        from_dict(cls, values)
    assert error.value.code == "CONFIG_UNKNOWN_KEY" and says in str(error.value) and never not in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("text.raw_slice.files.patterns", "*.jsonl", "files.patterns must be a list of which each is text"),
        ("text.documents.max_chars", "x", "documents.max_chars must be a whole number"),
        ("text.documents.max_chars", True, "documents.max_chars must be a whole number, not true"),
        ("text.documents.min_letter_share", None, "documents.min_letter_share must be a number, not null"),
        ("text.documents", None, "documents must be an object with fields of its own, not null"),
        ("text.duplicates.near", 1, "duplicates.near must be true or false, not 1"),
        ("walk_lm.train.precision", "fp8", 'train.precision must be one of "auto"'),
        (
            "text.raw_slice.max_record_bytes",
            1 << 70,
            "max_record_bytes must be a whole number between -2**53 and 2**53",
        ),
        ("walk_lm.train.seed", -(10**300), "train.seed must be a whole number between"),
        ("text.documents.min_letter_share", float("nan"), "documents.min_letter_share must be a finite number"),
        ("walk_lm.train.optimizer.lr", float("inf"), "train.optimizer.lr must be a finite number"),
        ("walk_lm.train.threads", "all", "train.threads must be a whole number or null"),
    ],
)
def test_a_type_is_called_what_json_calls_it(path, value, says):
    with pytest.raises(ConfigError) as error:
        plan_chain("walk_lm", "smoke", {path: value})
    said = str(error.value)
    assert error.value.code == "CONFIG_BAD_VALUE" and says in said and len(said) < 500
    assert not any(word in said for word in ("tuple", "NoneType", "FilesConfig", "DocumentsConfig", "None", "True"))


@pytest.mark.parametrize(
    ("path", "beside", "never"),
    [
        ("text.raw_slice.extract.qa.bogus", "extract.qa.question", "documents."),
        ("text.triples.windw", "triples.window", "extract."),
        ("walk_lm.train.optimizer.rate", "train.optimizer.lr", "train.schedule"),
    ],
)
def test_an_unknown_setting_is_answered_with_those_beside_it(path, beside, never):
    with pytest.raises(ConfigError) as error:
        plan_chain("walk_lm", "smoke", {path: 1})
    assert error.value.code == "SETTING_UNKNOWN" and beside in str(error.value) and never not in str(error.value)


def test_a_setting_given_twice_loses_neither_value_in_silence(tmp_path):
    assert parse_settings(["a.b=1", "a.b=1", "a.c=2"]) == {"a.b": 1, "a.c": 2}
    with pytest.raises(ConfigError) as error:
        parse_settings(["a.b=1", "a.b=2"])
    assert error.value.code == "SETTING_TWICE"
    file = tmp_path / "twice.json"
    for text in ('{"text": {"documents": {"seed": 1}, "documents": {"seed": 2}}}', '{"text": {}, "text": {}}'):
        file.write_text(text)
        with pytest.raises(ConfigError, match="is there twice"):
            read_settings(file)
    file.write_text(json.dumps({"text": {"documents": {"seed": 1}}}))
    assert read_settings(file) == {"text.documents.seed": 1}


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.json", b'{"a":' * 20_000, "nested too deep"),
        ("a.toml", b"a = " + b"[" * 20_000, "nested too deep"),
        ("a.toml", b"[t]\na = " + b"9" * 5000, "an integer is too long"),
        ("a.json", b'{"t": {"a": ' + b"9" * 5000 + b"}}", "an integer is too long"),
        ("a.toml", "[text]\nseed = 1".encode("utf-16"), "not UTF-8, but UTF-16 text, little-endian"),
        ("a.json", b"PAR1\x15\xff\0\0", "not UTF-8, but a parquet file"),
        ("none.toml", None, "No such file or directory:"),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_told_what_it_is(tmp_path, name, data, says):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=says) as error:
        read_settings(tmp_path / name)
    assert error.value.code == "SETTINGS_FILE"
    assert not any(word in str(error.value) for word in ("Errno", "codec", "recursion", "sys."))


@pytest.mark.parametrize("value", ["[" * 20_000, "9" * 5000])
def test_a_setting_that_no_reader_takes_is_text(value):
    assert parse_settings([f"a.b={value}"]) == {"a.b": value}


@pytest.mark.parametrize("text", ["abc", "0", "12345"])
def test_a_beginning_that_is_too_short_is_told_how_long_it_must_be(tmp_path, text):
    with pytest.raises(DataError, match="at least the first 6"):
        find_record(Store(tmp_path), text)


def test_a_name_that_is_not_there_is_answered_with_those_like_it(tmp_path, monkeypatch):
    make_chain(Store(tmp_path / "store"))
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    with pytest.raises(DataError) as error:
        find_id("text/triples/c")
    assert "text/triples/a" in str(error.value) and "text/triples/b" in str(error.value)
    assert "toy/gate_report" not in str(error.value)


@pytest.mark.parametrize("node", ["text/triples/a", "text/tokenizer"])
def test_steps_are_asked_of_checkpoints(tmp_path, monkeypatch, capsys, node):
    make_chain(Store(tmp_path / "store"))
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    assert cli.main(["batch", node, "--step", "1"]) == 1
    assert "name a checkpoint" in capsys.readouterr().err
