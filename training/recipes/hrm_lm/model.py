"""hrm_lm: encoder, recurrent core behind a gate, decoder that reads their memory; untied embeddings and head.

encoder_ids -> encoder -> masked mean -> Linear -> core -> z -> gate -> memory vectors; the decoder attends to these
and, unless ``memory`` says core alone, to the encoder's states too.

Shapes: B batch, S encoder positions, T decoder positions, M memory vectors, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.recipes.hrm_lm.config import ModelConfig
from training.recipes.hrm_lm.core import CoreState, HrmCore
from training.recipes.hrm_lm.layers import Block, DecoderBlock, LayerCache, Recomputing, initialise, sinusoids
from training.recipes.hrm_lm.memory import CoreMemory
from training.recipes.hrm_lm.moe import ExpertBlock


@dataclass(slots=True, kw_only=True)
class Output:
    """Logits, those decoded from earlier cycles under deep supervision, and what the auxiliary losses need."""

    logits_BTV: Tensor
    earlier_BTV: list[Tensor]
    memory: Memory


@dataclass(slots=True, kw_only=True)
class Memory:
    """What the decoder reads. ``earlier_BMD`` are the memories of earlier cycles, under deep supervision."""

    final_BMD: Tensor
    mask_B11M: Tensor
    earlier_BMD: list[Tensor]
    pooled_BD: Tensor
    core: CoreState | None
    gate_B: Tensor | None
    aux: Tensor | None


class HrmLm(nn.Module):
    """Logits of the next decoder token. ``batch_rows`` is what turns rows trained on into updates, for the gate."""

    positions: Tensor

    def __init__(self, config: ModelConfig, vocab_size: int, batch_rows: int) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        width = config.d_model
        block = ExpertBlock if config.moe.enabled else Block
        self.encoder_embedding, self.decoder_embedding = (nn.Embedding(vocab_size, width) for _ in range(2))
        self.encoder_blocks = nn.ModuleList(block(config) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        if config.memory != "encoder":
            self.pool = nn.Linear(width, width, bias=False)
            self.core = HrmCore(config)
            self.core_memory = CoreMemory(config, batch_rows)
        self.decoder_blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab_size, bias=False)
        self.register_buffer("positions", sinusoids(config.max_tokens, width), persistent=False)
        initialise(self, 2 * config.decoder_layers)

    def forward(self, encoder_ids_BS: Tensor, mask_BS: Tensor, decoder_ids_BT: Tensor) -> Output:
        """Everything a loss needs; ``mask`` is true for the encoder's real tokens."""
        memory = self.remember(encoder_ids_BS, mask_BS)
        earlier = [self._decode(decoder_ids_BT, m, memory.mask_B11M, None, 0) for m in memory.earlier_BMD]
        return Output(
            logits_BTV=self.head(self.decode(decoder_ids_BT, memory)),
            earlier_BTV=[self.head(states_BTD) for states_BTD in earlier],
            memory=memory,
        )

    def remember(self, encoder_ids_BS: Tensor, mask_BS: Tensor) -> Memory:
        """Encode, and think."""
        states_BSD, aux = self._encode(encoder_ids_BS, mask_BS)
        weight_BS1 = mask_BS[..., None].to(states_BSD.dtype)
        pooled_BD = (states_BSD * weight_BS1).sum(dim=1) / weight_BS1.sum(dim=1).clamp(min=1.0)
        core, gate_B, vectors = None, None, [states_BSD[:, :0]]
        if self.config.memory != "encoder":
            core, gate_B, vectors = self._think(pooled_BD)
        reads_states = self.config.memory != "core"
        full = [torch.cat((v, states_BSD), dim=1) if reads_states else v for v in vectors]
        real = mask_BS.new_ones(len(mask_BS), vectors[0].shape[1])
        mask_BM = torch.cat((real, mask_BS), dim=1) if reads_states else real
        *earlier, final = full
        return Memory(
            final_BMD=final, mask_B11M=mask_BM[:, None, None], earlier_BMD=earlier, pooled_BD=pooled_BD, core=core,
            gate_B=gate_B, aux=aux,
        )  # fmt: skip

    def decode(
        self, decoder_ids_BT: Tensor, memory: Memory, caches: Sequence[LayerCache] | None = None, begin: int = 0
    ) -> Tensor:
        """Normed states_BTD of decoder tokens that stand at ``begin`` and after; caches hold what came before."""
        return self._decode(decoder_ids_BT, memory.final_BMD, memory.mask_B11M, caches, begin)

    def count_rows(self, rows: int) -> None:
        """Note rows trained on: what opens the gate."""
        if self.config.memory != "encoder":
            self.core_memory.count(rows)

    def checkpoint_gradients(self) -> None:
        """From now on keep only each block's inputs for the backward pass and compute the rest again there."""
        for module in self.modules():
            if isinstance(module, Recomputing):
                module.recompute = True

    def _encode(self, ids_BS: Tensor, mask_BS: Tensor) -> tuple[Tensor, Tensor | None]:
        x_BSD, total = self.encoder_embedding(ids_BS) + self.positions[: ids_BS.shape[1]], None
        for block in self.encoder_blocks:
            if isinstance(block, ExpertBlock):
                x_BSD, aux = block(x_BSD, mask_BS)
                total = aux if total is None else total + aux
            else:
                x_BSD = block(x_BSD, mask_BS[:, None, None])
        return self.encoder_norm(x_BSD), total

    def _think(self, pooled_BD: Tensor) -> tuple[CoreState | None, Tensor | None, list[Tensor]]:
        if self.core_memory.shut:
            return None, None, [self.core_memory.closed(len(pooled_BD))]
        state = self.core(self.pool(pooled_BD))
        *earlier, (final, gate_B) = [self.core_memory(z_BD) for z_BD in state.z_BD]
        return state, gate_B, [*(vectors for vectors, _ in earlier), final]

    def _decode(
        self, ids_BT: Tensor, memory_BMD: Tensor, mask_B11M: Tensor, caches: Sequence[LayerCache] | None, begin: int
    ) -> Tensor:
        x_BTD = self.decoder_embedding(ids_BT) + self.positions[begin : begin + ids_BT.shape[1]]
        for index, block in enumerate(self.decoder_blocks):
            x_BTD = block(x_BTD, memory_BMD, mask_B11M, caches[index] if caches else None)
        return self.decoder_norm(x_BTD)
