"""The pretrained model under a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from assets_data.lineage import from_recorded
from training.recipes.cell_finetune.config import FinetuneConfig
from training.recipes.cell_finetune.lora import adapt, merge
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.model import FAMILIES


class Finetuned(nn.Module):
    """A linear head on the embedding of a cell. Its backbone has the pretrained checkpoint's names of tensors."""

    def __init__(self, config: FinetuneConfig, inputs: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        pretrained = from_recorded(CellMlmConfig, inputs["pretrained_config"])
        self.backbone = FAMILIES[pretrained.model.family](pretrained, inputs["pretrained"])
        if config.adapt.lora_rank:
            adapt(self.backbone, config.adapt.lora_rank, config.adapt.lora_alpha)
        self.norm = nn.LayerNorm(pretrained.model.width)
        self.head = nn.Linear(pretrained.model.width, max(1, len(inputs["classes"])))

    def begin_at(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the pretrained weights; adapters stay as they begin."""
        names = {name.replace(".linear.", "."): name for name in self.backbone.state_dict()}
        self.backbone.load_state_dict({names[name]: value for name, value in tensors.items()}, strict=False)

    def rate_of(self, name: str) -> tuple[float, int]:
        """``(factor of the learning rate, first update that moves it)`` of a parameter, for the optimizer."""
        adapt = self.config.adapt
        return (adapt.backbone_rate, adapt.freeze_until) if name.startswith("backbone.") else (1.0, 0)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """float[B, classes], or [B, 1] for a number."""
        return self.head(self.norm(self.backbone.embedding(batch)))

    def merged(self) -> Finetuned:
        """Itself, adapters folded into the layers that they adapt."""
        merge(self.backbone)
        return self
