"""The peers of ``training_loop``: one model, its batches and its optimizer, in the loops that others run."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assets_data.lineage import array_key64
from training.config import derived_seed
from training.optim import parameter_groups
from training.order import Order
from training.recipe import discover
from training.recipes.walk_lm.config import WalkLmConfig

RECIPE, ROWS, VERTICES = discover()["walk_lm"], 20_000, 400


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


def make_config(updates: int, checkpoint_every: int | None = None) -> WalkLmConfig:
    """The demo's model and batch; without ``checkpoint_every``, two checkpoints a run."""
    demo, every = RECIPE.presets["demo"](), checkpoint_every or updates // 2
    plan = replace(demo.train, updates=updates, monitor_every=0, validate_every=0, checkpoint_every=every)
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
    """Fused AdamW with the run's settings, and its two groups: what decays and what does not."""
    plan = config.train.optimizer
    return torch.optim.AdamW(parameter_groups(model, plan.weight_decay), plan.lr, plan.kwargs["betas"], fused=True)


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
        loader = torch.utils.data.DataLoader(Named(config, data), batch_size=None)
        peer = transformers.Trainer(model=Wrapped(), args=arguments, train_dataset=loader.dataset)
        peer.get_train_dataloader = lambda: loader  # type: ignore[method-assign]
        peer.train()


class Stream(torch.utils.data.IterableDataset):
    """Ready batches, so that no peer pays for another one's collation."""

    def __init__(self, config: WalkLmConfig, data: MadeUpRows) -> None:
        self.config, self.data = config, data

    def __iter__(self) -> Iterator[Tensor]:
        return batches(self.config, self.data)


class Named(Stream):
    """The same batches by name, as Hugging Face's Trainer hands them to a model."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:  # type: ignore[override]
        return ({"tokens": tokens} for tokens in batches(self.config, self.data))
