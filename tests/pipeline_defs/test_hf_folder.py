"""An exported folder stands alone: its card's own lines load the model, and its tokenizer is the one of training."""

import json
import subprocess
import sys

import pytest

from assets_data.lineage import Store, with_overrides
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.commands.cli import main
from pipeline_defs.commands.generate import read_coder
from tests.text_dataset import make_text_inputs
from training.recipe import discover
from training.stages import load_model, make_checkpoint, make_preflight_report

SHORT = {"train.updates": 2, "train.schedule.warmup": 0, "train.batch_rows": 4, "train.device": "cpu"}
CASES = {
    "hrm_lm": ("hrm_lm/checkpoint", {}),
    "walk_lm": ("walk_lm/checkpoint", {}),
    "sums": ("hrm_lm/checkpoint/sums", {"data.source": "arithmetic"}),
}
TEXT = "def keys(self):\n    return <eos> é"
SHOW = "\nprint(sum(float(p.double().sum()) for p in model.parameters()), model.training)"
WITHOUT = "import sys\nsys.modules |= dict.fromkeys(('dagster', 'polars', 'pandera', 'transformers'))\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folders of three checkpoints: on text, on walks, on made-up sums."""
    root = tmp_path_factory.mktemp("root")
    store = Store(root / "store")
    made = make_text_inputs(store)
    for name, changes in CASES.values():
        recipe = discover()[name.partition("/")[0]]
        inputs = {key: made[given.kind] for key, given in recipe.inputs.items()}
        config = with_overrides(recipe.presets["smoke"](), {**SHORT, **changes})
        preflight = make_preflight_report(store, recipe, inputs, config)
        store.point(name, make_checkpoint(store, recipe, inputs, preflight))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEMMA_ROOT", str(root))
        for folder, (name, _) in CASES.items():
            assert main(["export", name, "--format", "hf", "--output", str(root / folder)]) == 0
    return root


def code_of(folder):
    return (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]


@pytest.mark.parametrize("name", CASES)
def test_the_cards_lines_load_the_model_without_a_store_or_dagster(root, name):
    checkpoint = Store(root / "store").pointed(CASES[name][0])
    model = load_model(discover()[checkpoint.kind.partition("/")[0]], checkpoint)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code_of(root / name) + SHOW],
        capture_output=True,
        text=True,
        cwd=root / name,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    total, training = done.stdout.split()
    assert float(total) == sum(float(p.double().sum()) for p in model.parameters()) and training == "False"


def test_the_tokenizer_gives_the_ids_of_training_behind_a_bos(root):
    from tokenizers import Tokenizer

    store = Store(root / "store")
    inputs = json.loads((root / "hrm_lm" / "training.json").read_text())["model_inputs"]
    ids = list(read_coder(store, inputs["tokenizer"]).encode(TEXT))
    loaded = Tokenizer.from_file(str(root / "hrm_lm" / "tokenizer.json"))
    loaded.encode_special_tokens = True
    assert loaded.encode(TEXT).ids == [inputs["bos"], *ids] and loaded.decode(ids) == TEXT
    tokens = json.loads((root / "hrm_lm" / "special_tokens_map.json").read_text())
    for special in ("pad", "bos", "eos"):
        assert loaded.token_to_id(tokens[f"{special}_token"]) == inputs[special]


def test_transformers_reads_the_same_tokenizer(root):
    transformers = pytest.importorskip("transformers", reason="the extra 'peers' is not installed")
    inputs = json.loads((root / "hrm_lm" / "training.json").read_text())["model_inputs"]
    loaded = transformers.PreTrainedTokenizerFast.from_pretrained(root / "hrm_lm")
    ids = list(read_coder(Store(root / "store"), inputs["tokenizer"]).encode(TEXT))
    assert loaded(TEXT).input_ids == [inputs["bos"], *ids] and loaded.decode(ids) == TEXT
    assert [loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id] == [0, 1, 2]


@pytest.mark.parametrize("name", ["walk_lm", "sums"])
def test_ids_that_no_tokenizer_gives_come_without_one_and_the_card_says_so(root, name):
    assert not list((root / name).glob("*token*"))
    card = (root / name / "README.md").read_text()
    assert "not those of a tokenizer" in card and "tokenizers" not in code_of(root / name)
    assert "tokenizers" in code_of(root / "hrm_lm")
