"""A model as a parent: the smoke chain once, then what is asked of a checkpoint with another one as a parent."""

import dataclasses
import shutil

import pysam
import pytest

from assets_data.domains.genome.commands import _data_of, score_file
from assets_data.lineage import DataError, Store, TrainingError
from assets_data.lineage.identity.merkle import sorted_records
from pipeline_defs.answers.withdrawal.apply import apply_plan
from pipeline_defs.answers.withdrawal.plan import make_plan
from pipeline_defs.contract.trial import Trial
from training.recipe import discover
from training.recipes.geno_lewm.config import StatesConfig, smoke
from training.recipes.geno_lewm.encoder import Encoder, require_stable
from training.recipes.geno_lewm.state_table import make_state_table, read_states

RECIPE = discover()["geno_lewm"]
KINDS = {name: given.kind for name, given in RECIPE.inputs.items()}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("chain")
    with Trial(root) as trial:
        trial.run(["geno_lewm/gate_report"], {})
    return root


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made / "store", tmp_path / "store")
    return Store(tmp_path / "store")


def inputs(store):
    return {name: store.pointed(kind) for name, kind in KINDS.items()}


def test_withdrawing_one_allele_retrains_what_learned_from_it_and_keeps_the_encoder_bit_for_bit(store):
    table = store.pointed("genome/trajectories").table("train.arrow")
    pairs = zip(table["record_id_1"].to_pylist(), table["record_id"].to_pylist(), strict=True)
    allele = bytes.fromhex(next(record for record, contig in pairs if record != contig))
    before = {name: (store.pointer(name) or {})["snapshot"] for name in store.all_names()}
    plan = make_plan(store, {allele}, "rebuild")
    assert "none of its" in plan.restarts["dna_lm/checkpoint"]["says"]
    moved = apply_plan(store, plan)
    assert {"genome/trajectories", "geno_lewm/state_table", "geno_lewm/checkpoint"} <= set(moved)
    after = {name: (store.pointer(name) or {})["snapshot"] for name in store.all_names()}
    files = [store.opened(found["dna_lm/checkpoint"]).content["parts"]["model"] for found in (before, after)]
    assert files[0] == files[1], "no window of the encoder came from the allele"
    assert after["geno_lewm/checkpoint"] != before["geno_lewm/checkpoint"]
    gone = sorted_records([allele.hex()])
    from assets_data.lineage.storage.record_rows import holds_any

    assert not [name for name, key in after.items() if holds_any(store.opened(key), gone)]


def test_an_encoder_swapped_after_the_table_is_refused(store):
    given = inputs(store)
    other = dataclasses.replace(given["encoder"], id="sha256:" + "0" * 64)
    with pytest.raises(DataError, match="ENCODER_CHANGED"):
        RECIPE.open_data(store, {**given, "encoder": other}, smoke())


def test_exact_continuation_is_refused_under_another_encoder(store, tmp_path):
    from tests.contract.test_recipes import Interrupt, StopAt, with_overrides
    from training.loop import train

    config = with_overrides(smoke(), {"train.updates": 3, "train.schedule.warmup": 0, "train.checkpoint_every": 1})
    data = RECIPE.open_data(store, inputs(store), config)
    with pytest.raises(Interrupt):
        train(RECIPE, config, data, tmp_path / "run", code="c", callbacks=[StopAt(2)])
    swapped = dataclasses.replace(data, members={**data.members, "encoder": "sha256:" + "1" * 64})
    with pytest.raises(TrainingError, match="RESUME_MISMATCH"):
        train(RECIPE, config, swapped, tmp_path / "run", code="c")


def test_a_table_of_other_rows_is_refused(store):
    given = inputs(store)
    keys = given["state_table"].table("train.arrow")["row_key"].to_numpy()
    with pytest.raises(DataError, match="STATE_MISSING"):
        read_states(given["state_table"], "train", keys[::-1])


def test_a_killed_table_goes_on_at_its_shard(store, monkeypatch):
    from training.recipes.geno_lewm import encoder, state_table

    given, config, calls = inputs(store), StatesConfig(state="positions", shard=100), []
    real = encoder.states

    def counted(*arguments):
        calls.append(len(arguments[1]))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(encoder, "states", counted)
    with pytest.raises(KeyboardInterrupt):
        make_state_table(store, given["manifest"], given["encoder"], config)
    made = make_state_table(store, given["manifest"], given["encoder"], config)
    shards = -(-made.stats["distinct"] // 100)
    assert len(calls) == shards + 1, "three shards were kept, the fourth was tried twice"
    whole = given["state_table"].content["parts"]["train"]
    assert made.content["parts"]["train"] == whole and state_table.STATE_TABLE.kind == made.kind


def test_a_state_that_depends_on_the_batch_is_refused_evo2_196():
    import numpy as np
    import torch

    def centred(codes):
        hidden = codes[..., None].float().expand(-1, -1, 4)
        return hidden - hidden.mean(0)

    encoder = Encoder(id="x", hidden=centred, token=lambda width: width // 2, device=torch.device("cpu"))
    windows = np.random.default_rng(0).integers(0, 4, (64, 96)).astype(np.uint8)
    with pytest.raises(DataError, match="ENCODER_UNSTABLE"):
        require_stable(encoder, windows, StatesConfig())


def test_scores_are_written_for_each_allele_or_the_reason_why_not(store, tmp_path):
    source = tmp_path / "in.vcf"
    head = "##fileformat=VCFv4.2\n##contig=<ID=MT,length=16569>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    source.write_text(
        head + "MT\t263\t.\tA\tG,<DEL>\t.\t.\t.\nMT\t310\t.\tT\tTC\t.\t.\t.\nMT\t9000\t.\tC\tA\t.\t.\t.\n"
    )
    checkpoint = store.pointed("geno_lewm/checkpoint")
    references, width = _data_of(store, checkpoint)
    score = RECIPE.scorer(store, checkpoint)
    counts = score_file(source, tmp_path / "out.vcf.gz", references, {}, width, score, checkpoint.id)
    assert counts == {"scored": 2, "VARIANT_UNSUPPORTED": 1, "VARIANT_REF_MISMATCH": 1}
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert f"stemma_checkpoint={checkpoint.id}" in str(file.header)
        first, second, third = list(file)
    assert (
        first.info["STEMMA_WHY"] == (".", "VARIANT_UNSUPPORTED") or first.info["STEMMA_WHY"][1] == "VARIANT_UNSUPPORTED"
    )
    assert first.info["STEMMA_LLR"][0] is not None and first.info["STEMMA_CHANGE"][1] is None
    assert second.info["STEMMA_LLR"] == (None,) and second.info["STEMMA_CHANGE"][0] > 0
    assert third.info["STEMMA_WHY"] == ("VARIANT_REF_MISMATCH",)
    assert (tmp_path / "out.vcf.gz").read_bytes()[:2] == b"\x1f\x8b"
