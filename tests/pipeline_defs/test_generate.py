"""``stemma generate`` on checkpoints made by the stages: text in, text out, from the store alone."""

import json
import shutil
import subprocess
import sys

import pytest

from assets_data.lineage import ConfigError, Store, with_overrides
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.commands.cli import main
from pipeline_defs.commands.generate import generate, read_coder, verdicts
from tests.text_dataset import make_text_inputs
from training.generation import Sampling
from training.recipe import discover
from training.recipes.hrm_lm.answers import answer_maze
from training.stages import load_model, make_checkpoint, make_gate_report, make_preflight_report

RECIPE = discover()["hrm_lm"]
SHORT = {"train.updates": 3, "train.schedule.warmup": 0, "train.batch_rows": 4, "train.device": "cpu", "gate.rows": 8}
FEW = {"data.mazes": 20, "data.judged_mazes": 5, "train.monitor_every": 0, "train.validate_every": 0}
PROMPT = "def keys(self):\n    return "


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root with a text checkpoint that was judged, and one of sums and two of mazes that were not."""
    root = tmp_path_factory.mktemp("root")
    store = Store(root / "store")
    manifest = make_text_inputs(store)["text/dataset_manifest"]
    store.point("text/dataset_manifest", manifest)
    inputs, ids = {"manifest": manifest}, {}
    made = (
        ("hrm_lm/checkpoint", "smoke", {}),
        ("sums/checkpoint", "smoke", {"data.source": "arithmetic"}),
        ("mazes/checkpoint", "flood", {**FEW, "model.core.halt": "agree"}),
        ("paths/checkpoint", "flood", {**FEW, "data.marks": "path", "model.core.reach": 0}),
    )
    for name, preset, changes in made:
        config = with_overrides(RECIPE.presets[preset](), {**SHORT, **changes})
        preflight = make_preflight_report(store, RECIPE, inputs, config)
        checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
        ids[name] = checkpoint.id
        if name == "hrm_lm/checkpoint":
            make_gate_report(store, RECIPE, inputs, preflight, checkpoint)
            store.point(name, checkpoint)
    for what in ("sums", "mazes", "paths"):
        (root / what).write_text(ids[f"{what}/checkpoint"])
    return root


def sums(root):
    """The id of the checkpoint that was trained on sums; no name stands for it."""
    return (root / "sums").read_text()


@pytest.fixture
def stemma(root, monkeypatch, capsys):
    def call(*arguments, root=root):
        monkeypatch.setenv("STEMMA_ROOT", str(root))
        status = main(["generate", *arguments])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


def test_it_prints_the_id_the_verdict_and_the_answer(stemma, root):
    status, out, _ = stemma("--checkpoint", "hrm_lm/checkpoint", "--prompt", PROMPT, "--max-new-tokens", "5")
    checkpoint = Store(root / "store").pointed("hrm_lm/checkpoint")
    lines = out.split("\n")
    assert status == 0 and lines[0] == f"checkpoint  {checkpoint.id}" and lines[1] == "gate        fail"
    told = generate(Store(root / "store"), checkpoint, PROMPT, Sampling(max_new_tokens=5))
    assert "\n".join(lines[3:]).rstrip("\n") == told["answer"].rstrip("\n")
    _, out, _ = stemma("--checkpoint", sums(root), "--prompt", "What is 10 + 20?")
    assert "gate        never judged" in out


def test_a_maze_is_answered_as_a_picture_with_the_segments_it_took(stemma, root):
    maze, checkpoint = "S..#.\n##.#.\n...#.\n.####\n.....\n", (root / "mazes").read_text()
    status, out, _ = stemma("--checkpoint", checkpoint, "--prompt", maze)
    head, _, drawn = out.partition("\n\n")
    model = load_model(RECIPE, Store(root / "store").snapshot(checkpoint))
    picture, used = answer_maze(model, maze)
    assert status == 0 and drawn.split() == picture.split() and head.split("\n")[2] == f"segments    {used}"
    facts = Store(root / "store").snapshot(checkpoint).read_json("training.json")["model_inputs"]
    assert facts["segments"][-1] == model.config.core.eval_segments and 2 <= used <= facts["segments"][-1]
    told = json.loads(stemma("--checkpoint", checkpoint, "--prompt", maze, "--json")[1])
    assert told["remarks"] == {"segments": used}
    status, out, err = stemma("--checkpoint", checkpoint, "--prompt", "How are you?")
    assert status == 1 and "FLOOD_MAZE" in err and out == ""


def test_a_maze_has_a_goal_where_the_model_was_trained_to_find_the_way_to_it(stemma, root):
    maze, checkpoint = "S..#.\n##.#.\n...#.\no####\n.....\n", (root / "paths").read_text()
    status, out, _ = stemma("--checkpoint", checkpoint, "--prompt", maze)
    model = load_model(RECIPE, Store(root / "store").snapshot(checkpoint))
    assert status == 0 and out.partition("\n\n")[2].split() == answer_maze(model, maze, goals=1)[0].split()
    for known, prompt in ((checkpoint, maze.replace("o", ".")), ((root / "mazes").read_text(), maze)):
        status, out, err = stemma("--checkpoint", known, "--prompt", prompt)
        assert status == 1 and "FLOOD_MAZE" in err and out == ""


def test_the_answer_is_what_the_model_writes_for_the_prompts_ids(root):
    store = Store(root / "store")
    checkpoint = store.pointed("hrm_lm/checkpoint")
    inputs = checkpoint.read_json("training.json")["model_inputs"]
    coder = read_coder(store, inputs["tokenizer"])
    assert coder.decode(coder.encode(PROMPT)) == PROMPT
    sampling = Sampling(max_new_tokens=6, temperature=1.0, top_p=0.9, seed=3)
    ids = RECIPE.generate(load_model(RECIPE, checkpoint), inputs, coder.encode(PROMPT), sampling)
    assert generate(store, checkpoint, PROMPT, sampling)["answer"] == coder.decode(ids) and len(ids) <= 6


def test_seeds_temperature_and_top_p_reach_the_model(stemma):
    def answer(*how):
        out = stemma("--checkpoint", "hrm_lm/checkpoint", "--prompt", PROMPT, "--max-new-tokens", "8", "--json", *how)[
            1
        ]
        return json.loads(out)["answer"]

    hot = ("--temperature", "2.0")
    assert answer() == answer("--seed", "9") == answer("--greedy")
    assert answer(*hot, "--seed", "1") == answer(*hot, "--seed", "1") != answer(*hot, "--seed", "2")
    assert answer(*hot, "--top-p", "0.000001") == answer()


def test_a_prompt_longer_than_the_model_loses_its_beginning(root):
    store = Store(root / "store")
    checkpoint = store.snapshot(sums(root))
    told = [
        generate(store, checkpoint, text, Sampling(max_new_tokens=3))["answer"] for text in ("a" * 90, "b" + "a" * 99)
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--checkpoint", "text/dataset_manifest", "--prompt", "x"], "GENERATE_NO_CHECKPOINT"),
        (["--checkpoint", "nothing", "--prompt", "x"], "NODE_UNKNOWN"),
        (["--checkpoint", "hrm_lm/checkpoint", "--prompt", "x", "--top-p", "0"], "SAMPLING_RANGE"),
    ],
)
def test_what_cannot_be_done_is_said(stemma, arguments, code):
    status, out, err = stemma(*arguments)
    assert status == 1 and code in err and out == ""


def test_a_recipe_that_does_not_write_is_named(root, monkeypatch):
    monkeypatch.setattr(type(RECIPE), "generate", None)
    store = Store(root / "store")
    with pytest.raises(ConfigError) as caught:
        generate(store, store.pointed("hrm_lm/checkpoint"), "x", Sampling())
    assert caught.value.code == "GENERATE_UNSUPPORTED" and "hrm_lm" in str(caught.value)


def test_changed_weights_do_not_write(stemma, root, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    weights = Store(tmp_path / "copy" / "store").pointed("hrm_lm/checkpoint").file("model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    status, out, err = stemma("--checkpoint", "hrm_lm/checkpoint", "--prompt", "x", root=tmp_path / "copy")
    assert status == 1 and "SNAPSHOT_FILE_DIGEST" in err and out == ""


def test_verdicts_are_those_of_this_checkpoint_only(root):
    store = Store(root / "store")
    assert verdicts(store, "hrm_lm", store.pointed("hrm_lm/checkpoint").id) == ["fail"]
    assert verdicts(store, "hrm_lm", store.snapshot(sums(root)).id) == []


def test_neither_dagster_nor_polars_is_loaded_for_made_up_text(root):
    code = (
        "import sys; from pipeline_defs.commands.cli import main; main(['generate', '--checkpoint', sys.argv[1],"
        " '--prompt', 'What is 10 + 20?']); print(*({'dagster', 'polars'} & set(sys.modules)), sep='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sums(root)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"STEMMA_ROOT": str(root)},
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "", done.stdout + done.stderr
