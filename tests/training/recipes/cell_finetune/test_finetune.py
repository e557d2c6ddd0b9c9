"""A head on a published checkpoint: what moves when, exact resume, merged adapters, genes by name, both parents."""

import numpy as np
import pytest
import torch

from assets_data.domains.cells.read import NamedCells
from assets_data.lineage import DataError, Store, text_key64, with_overrides
from assets_data.lineage.receipts.reader import read_receipt
from tests.cells_dataset import make_cells_inputs
from training.callbacks import Callback
from training.checkpoint import read_state, stored
from training.loop import train
from training.recipe import discover
from training.recipes.cell_mlm.foreign import embed, model_vocabulary, remap
from training.stages import load_model, make_checkpoint, make_gate_report, make_preflight_report

MLM, TUNE = discover()["cell_mlm"], discover()["cell_finetune"]
SHORT = {
    "train.updates": 6,
    "train.batch_rows": 8,
    "train.schedule.warmup": 0,
    "train.checkpoint_every": 1,
    "train.log_every": 1,
    "train.monitor_every": 0,
    "train.validate_every": 0,
    "train.max_val_samples": 8,
}
WAYS = {
    "all weights": {},
    "frozen at first": {"adapt.freeze_until": 3},
    "adapters": {"adapt.lora_rank": 4},
    "adapters, frozen at first": {"adapt.lora_rank": 4, "adapt.freeze_until": 2},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("finetune"))


@pytest.fixture(scope="module")
def inputs(store):
    manifest = {"manifest": make_cells_inputs(store)["cells/dataset_manifest"]}
    preflight = make_preflight_report(store, MLM, manifest, with_overrides(MLM.presets["smoke"](), SHORT))
    return {**manifest, "pretrained": make_checkpoint(store, MLM, manifest, preflight)}


@pytest.fixture(params=WAYS)
def config(request):
    return with_overrides(TUNE.presets["smoke"](), {**SHORT, "adapt.freeze_until": 0, **WAYS[request.param]})


class Snapshots(Callback):
    """The weights after each update; ends the process after ``last``."""

    def __init__(self, last=99):
        self.seen, self.last = [], last

    def step_end(self, run):
        self.seen.append({name: value.clone() for name, value in run.model.state_dict().items()})
        if run.update == self.last:
            raise KeyboardInterrupt


def outcome(directory):
    state = read_state(stored(directory / "checkpoints")[-1])
    return state["files"], state["callbacks"], (directory / "metrics.jsonl").read_bytes()


def test_pretrained_weights_are_taken_over_move_when_they_may_and_resume_bit_equal(store, inputs, config, tmp_path):
    data, watch = TUNE.open_data(store, inputs, config), Snapshots()
    train(TUNE, config, data, tmp_path / "calm", code="c", callbacks=[watch])
    begun = {f"backbone.{n}": torch.from_numpy(v.copy()) for n, v in data.weights.items()}
    frozen, lora = config.adapt.freeze_until, config.adapt.lora_rank
    for update, weights in enumerate(watch.seen, start=1):
        there = {name.replace(".linear.", "."): value for name, value in weights.items()}
        same = [torch.equal(there[name], value) for name, value in begun.items()]
        assert all(same) if lora or update <= frozen else not all(same)
        adapters = [value for name, value in weights.items() if ".b.weight" in name]
        assert bool(adapters) == bool(lora) and all(bool(v.any()) == (update > frozen) for v in adapters[:1])
        assert not torch.equal(weights["head.weight"], watch.seen[0]["head.weight"]) or update == 1
    for last in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            train(TUNE, config, data, tmp_path / f"cut-{last}", code="c", callbacks=[Snapshots(last)])
        train(TUNE, config, data, tmp_path / f"cut-{last}", code="c")
        assert outcome(tmp_path / f"cut-{last}") == outcome(tmp_path / "calm")


def test_the_backbone_moves_at_its_own_rate(store, inputs, tmp_path):
    """Plain gradient descent: half the rate is half the step."""
    settings = {
        **SHORT,
        "train.updates": 1,
        "adapt.freeze_until": 0,
        "train.optimizer.name": "SGD",
        "train.optimizer.weight_decay": 0.0,
        "train.grad_clip": 0.0,
    }
    moved = []
    for rate in (1.0, 0.5):
        config = with_overrides(TUNE.presets["smoke"](), {**settings, "adapt.backbone_rate": rate})
        data, watch = TUNE.open_data(store, inputs, config), Snapshots()
        train(TUNE, config, data, tmp_path / str(rate), code="c", callbacks=[watch])
        name = "stack.blocks.0.up.weight"
        moved.append(watch.seen[0][f"backbone.{name}"] - torch.from_numpy(data.weights[name].copy()))
    assert moved[0].abs().max() > 0 and torch.allclose(moved[1], moved[0] / 2, atol=1e-6)


def test_merged_adapters_are_the_same_model_with_the_tensors_of_a_plain_one(store, inputs):
    config = with_overrides(TUNE.presets["smoke"](), {**SHORT, "adapt.lora_rank": 4})
    data = TUNE.open_data(store, inputs, config)
    model = TUNE.build_model(config, TUNE.model_inputs(data, config)).eval()
    TUNE.begin(model, data)
    for name, parameter in model.named_parameters():
        if name.endswith(".b.weight"):
            torch.nn.init.normal_(parameter, std=0.3)
    batch = TUNE.batch(data, config, np.arange(6), np.zeros(6, np.int64))
    with torch.no_grad():
        before, names = model(batch), set(model.backbone.state_dict())
        after = model.merged()(batch)
    assert torch.allclose(before, after, atol=1e-4) and set(model.backbone.state_dict()) == set(
        data.weights
    ) < names | set(data.weights)


def test_both_parents_are_in_the_lineage_and_the_stages_judge(store, inputs):
    config = with_overrides(TUNE.presets["smoke"](), SHORT)
    preflight = make_preflight_report(store, TUNE, inputs, config)
    checkpoint = make_checkpoint(store, TUNE, inputs, preflight)
    parents = {parent.id for parent in read_receipt(checkpoint.receipt).parents}
    assert {inputs["manifest"].id, inputs["pretrained"].id} <= parents
    result = make_gate_report(store, TUNE, inputs, preflight, checkpoint).read_json("result.json")
    assert result["gate"]["criteria"][0]["name"] == "accuracy_over_baseline"


def test_a_regression_needs_numbers(store, inputs):
    config = with_overrides(TUNE.presets["smoke"](), {**SHORT, "head.kind": "regression"})
    with pytest.raises(DataError, match="CELL_LABELS"):
        TUNE.open_data(store, inputs, config)


def named(order, names, naming="symbol"):
    """Three cells over genes in any order of columns."""
    draw = np.random.default_rng(5)
    dense = draw.poisson(1.5, (3, len(names)))[:, order]
    row, column = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=3))])
    return NamedCells(
        names=[names[place] for place in order],
        naming=naming,
        row_keys=text_key64(["a", "b", "c"]),
        totals=dense.sum(1),
        indptr=indptr,
        genes=column,
        counts=dense[row, column],
    )


def test_cells_are_mapped_to_a_model_by_the_names_of_genes_and_never_by_column(inputs):
    checkpoint = inputs["pretrained"]
    facts, model = checkpoint.read_json("training.json")["model_inputs"], load_model(MLM, checkpoint)
    config, names = MLM.presets["smoke"](), list(facts["genes"])
    straight = embed(model, config, facts, named(np.arange(len(names)), names))
    turned = embed(model, config, facts, named(np.random.default_rng(1).permutation(len(names)), names))
    assert np.allclose(straight, turned, atol=1e-5) and straight.std(0).max() > 0
    more = [*names, *(f"unknown{n}" for n in range(20))]
    assert embed(model, config, facts, named(np.arange(len(more)), more)).shape == (3, 32)


@pytest.mark.parametrize(
    ("names", "naming", "code"), [("lower", "symbol", "CELL_GENES_UNKNOWN"), ("same", "ensembl", "CELL_PREPROCESSING")]
)
def test_cells_that_a_model_does_not_know_are_refused(inputs, names, naming, code):
    facts = inputs["pretrained"].read_json("training.json")["model_inputs"]
    genes = [name.lower() if names == "lower" else name for name in facts["genes"]]
    cells = named(np.arange(len(genes)), genes, naming)
    with pytest.raises(DataError, match=code):
        remap(cells, cells.names, model_vocabulary(facts), cells.naming)
    with pytest.raises(DataError, match="CELL_PREPROCESSING"):
        model_vocabulary({"genes": facts["genes"]})
