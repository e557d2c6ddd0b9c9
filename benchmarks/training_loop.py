"""Updates per second of the loop against a bare PyTorch loop, nanoGPT's shape, Lightning and Hugging Face's Trainer.

The same model from the same seed, the same batches in the same order, optimizer, clipping and threads, in turn in one
process, several rounds, each round beginning with another one; compared are the seconds within a round. Stemma's loop
writes checkpoints, metrics and digests; the peers write nothing and log nothing. A peer that is not installed is left
out and named. ``python -m benchmarks.training_loop [updates]``.
"""

from __future__ import annotations

import importlib.util
import itertools
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assets_data.lineage import array_key64
from benchmarks.result import save
from training.environment import derived_seed, reproducible
from training.loop import train
from training.order import Order
from training.recipe import discover
from training.recipes.walk_lm.config import WalkLmConfig

RECIPE, ROWS, VERTICES, ROUNDS = discover()["walk_lm"], 20_000, 400, 6
Losses = Callable[[nn.Module, Tensor], Tensor]


class MadeUpRows:
    """Random walks-like rows, all different: what the model learns does not matter here."""

    def __init__(self, row_length: int) -> None:
        self._rows = np.random.default_rng(0).integers(0, VERTICES, (ROWS, row_length), dtype=np.int64)
        self.row_keys = array_key64(self._rows)
        self.members, self.tables, self.validation = {"rows": "sha256:made-up"}, (), None
        self.items_per_row, self.graph = float(row_length - 1), type("Graph", (), {"n_vertices": VERTICES})

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """int64[B, row_length]."""
        return self._rows[rows]


class Unmeasured(type(RECIPE)):
    """walk_lm without its held-out decoding, which no peer does."""

    def monitor(self, model: Any, data: Any, config: Any) -> dict[str, float]:
        """Nothing."""
        return {}


def make_config(updates: int) -> WalkLmConfig:
    """The demo's model and batch, with a checkpoint four times a run."""
    demo = RECIPE.presets["demo"]()
    plan = replace(demo.train, updates=updates, monitor_every=0, validate_every=0, checkpoint_every=updates // 4)
    return replace(demo, train=replace(plan, schedule=replace(plan.schedule, warmup=0, name="constant")))


def make_model(config: WalkLmConfig) -> nn.Module:
    """The same weights for every contender."""
    torch.manual_seed(derived_seed(config.train.seed, "model"))
    return RECIPE.build_model(config, {"vocab_size": VERTICES})


def next_token_loss(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """Mean cross-entropy of the next vertex."""
    logits_BTV = model(tokens_BT[:, :-1])
    return F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())


def batches(config: WalkLmConfig, data: MadeUpRows) -> Iterator[Tensor]:
    """The batches of every update, in order."""
    order = Order(derived_seed(config.train.seed, "order"), data.row_keys, config.train.batch_rows)
    for update in range(config.train.updates):
        yield torch.from_numpy(data.rows(order.batch(update)[0]))


def make_optimizer(model: nn.Module, config: WalkLmConfig) -> torch.optim.Optimizer:
    """Fused AdamW with the run's settings."""
    plan = config.train.optimizer
    return torch.optim.AdamW(model.parameters(), plan.lr, plan.kwargs["betas"], fused=True, weight_decay=0.01)


def run_stemma(config: WalkLmConfig, data: MadeUpRows) -> None:
    """The loop with checkpoints, retention, metrics, timings and the digest of the order."""
    with tempfile.TemporaryDirectory() as folder:
        train(Unmeasured(), config, data, Path(folder), code="benchmark")  # type: ignore[arg-type]


def run_bare(config: WalkLmConfig, data: MadeUpRows) -> None:
    """The floor: forward, backward, clip, step."""
    model = make_model(config).train()
    optimizer = make_optimizer(model, config)
    for tokens_BT in batches(config, data):
        next_token_loss(model, tokens_BT).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def run_nanogpt(config: WalkLmConfig, data: MadeUpRows) -> None:
    """nanoGPT's order of things: rate per group, scaler (off), batch fetched early, loss read at log intervals."""
    model = make_model(config).train()
    optimizer, scaler = make_optimizer(model, config), torch.amp.GradScaler("cpu", enabled=False)
    source = batches(config, data)
    tokens_BT: Tensor | None = next(source)
    for update in itertools.count():
        if tokens_BT is None:
            return
        for group in optimizer.param_groups:
            group["lr"] = config.train.optimizer.lr
        loss = next_token_loss(model, tokens_BT)
        tokens_BT = next(source, None)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        if update % config.train.log_every == 0:
            loss.item()


def run_lightning(config: WalkLmConfig, data: MadeUpRows) -> None:
    """Lightning's Trainer without logger, checkpoints, bar or checks."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = make_model(config)

        def training_step(self, tokens_BT: Tensor) -> Tensor:
            return next_token_loss(self.model, tokens_BT)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return make_optimizer(self.model, config)

    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=config.train.updates, gradient_clip_val=1.0, inference_mode=False, **off
    )
    loader = torch.utils.data.DataLoader(Stream(config, data), batch_size=None)
    trainer.fit(Module(), loader)


def run_hugging_face(config: WalkLmConfig, data: MadeUpRows) -> None:
    """transformers' Trainer without reports, saves or bar."""
    import transformers

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = make_model(config)

        def forward(self, tokens: Tensor) -> dict[str, Tensor]:
            return {"loss": next_token_loss(self.model, tokens)}

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=config.train.updates,
            per_device_train_batch_size=config.train.batch_rows,
            optim="adamw_torch_fused",
            learning_rate=config.train.optimizer.lr,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            remove_unused_columns=False,
        )
        rows = [{"tokens": row} for tokens in batches(config, data) for row in tokens]
        peer = transformers.Trainer(model=Wrapped(), args=arguments, train_dataset=rows, data_collator=stack)  # type: ignore[arg-type]
        peer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(rows)  # type: ignore[method-assign]
        peer.train()


class Stream(torch.utils.data.IterableDataset):
    """Ready batches, so that no peer pays for another one's collation."""

    def __init__(self, config: WalkLmConfig, data: MadeUpRows) -> None:
        self.config, self.data = config, data

    def __iter__(self) -> Iterator[Tensor]:
        return batches(self.config, self.data)


def stack(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Rows to one batch."""
    return {"tokens": torch.stack([row["tokens"] for row in rows])}


CONTENDERS: dict[str, tuple[str, Callable[[WalkLmConfig, MadeUpRows], None]]] = {
    "stemma": ("torch", run_stemma),
    "bare_pytorch": ("torch", run_bare),
    "nanogpt_shape": ("torch", run_nanogpt),
    "lightning": ("lightning", run_lightning),
    "hugging_face": ("accelerate", run_hugging_face),
}


def main(updates: int) -> None:
    """Measure every contender in turn and save."""
    logging.disable(logging.WARNING)
    config = make_config(updates)
    data = MadeUpRows(config.model.context + 1)
    present = {name: run for name, (package, run) in CONTENDERS.items() if importlib.util.find_spec(package)}
    seconds: dict[str, list[float]] = {name: [] for name in present}
    with reproducible(config.train):
        warm_up = replace(config, train=replace(config.train, updates=8, checkpoint_every=4))
        for run in present.values():
            run(warm_up, data)
        for number, place in itertools.product(range(ROUNDS), range(len(present))):
            name = list(present)[(number + place) % len(present)]
            began = time.perf_counter()
            present[name](config, data)
            seconds[name].append(time.perf_counter() - began)
    over_stemma = {
        name: [a / b for a, b in zip(taken, seconds["stemma"], strict=True)]
        for name, taken in seconds.items()
        if name != "stemma"
    }
    figures = {
        "model": {"preset": "demo", "parameters": sum(p.numel() for p in make_model(config).parameters())},
        "updates": updates,
        "rounds": ROUNDS,
        "threads": config.train.threads,
        "checkpoints_written_by_stemma": 4,
        "updates_per_s": {name: round(updates / statistics.median(taken), 2) for name, taken in seconds.items()},
        "seconds_over_stemma_median": {name: round(statistics.median(r), 4) for name, r in over_stemma.items()},
        "seconds_over_stemma_rounds": {name: [round(r, 4) for r in ratios] for name, ratios in over_stemma.items()},
        "absent": sorted(set(CONTENDERS) - set(present)),
    }
    packages = ["torch", "numpy", *(p for p in ("lightning", "transformers") if importlib.util.find_spec(p))]
    save("training_loop", packages, figures)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
