"""The peers of the loop's benchmark do the very work that Stemma's loop does: they end with the same weights."""

import importlib.util
from dataclasses import replace
from functools import partial

import pytest
import torch

from benchmarks import training_loop, training_peers
from training.environment import reproducible
from training.loop import train


@pytest.mark.parametrize("name", sorted(training_loop.CONTENDERS.keys() - {"stemma", "hugging_face"}))
def test_a_peer_ends_with_the_weights_of_the_loop(name, tmp_path, monkeypatch):
    """Bit for bit but for Lightning's, which rounds otherwise. Hugging Face's Trainer decays by rules of its own."""
    package, run_peer = training_loop.CONTENDERS[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    config = training_peers.make_config(12)
    small = replace(config.model, width=8, heads=2, mlp_ratio=1, context=8)
    config = replace(config, model=small, train=replace(config.train, batch_rows=4))
    data, made, make = training_peers.MadeUpRows(9), [], training_peers.make_model
    monkeypatch.setattr(training_peers, "make_model", lambda config: made.append(make(config)) or made[-1])
    with reproducible(config.train):
        run_peer(config, data)
    begun, (model,) = make(config), made
    run = train(training_loop.Unmeasured(), config, data, tmp_path, code="c")
    trained = list(run.model.parameters())
    same = torch.equal if package == "torch" else partial(torch.allclose, rtol=0, atol=1e-6)
    assert all(map(same, model.parameters(), trained))
    assert not any(map(torch.equal, begun.parameters(), trained))
