"""hrm_lm: encoder, recurrent core behind a gate, decoder that reads their memory; untied embeddings and head.

encoder_ids -> encoder -> masked mean -> Linear -> core -> z -> gate -> memory vectors; the decoder attends to these
and, unless ``memory`` says core alone, to the encoder's states too. With ``core.reads: tokens`` the core keeps a latent
per encoder position and the decoder reads what it made of each, see :mod:`training.recipes.hrm_lm.token_core`.

Shapes: B batch, S encoder positions, T decoder positions, M memory vectors, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from training.recipes.hrm_lm.config import ModelConfig
from training.recipes.hrm_lm.core import CoreState, HrmCore
from training.recipes.hrm_lm.layers import Block, DecoderBlock, LayerCache, Recomputing, initialise, sinusoids
from training.recipes.hrm_lm.memory import CoreMemory
from training.recipes.hrm_lm.moe import ExpertBlock
from training.recipes.hrm_lm.token_core import TokenCore, TokenMemory, TokenState, masked_mean, trained_segments


@dataclass(slots=True, kw_only=True)
class Output:
    """Logits, those decoded from earlier cycles under deep supervision, and what the auxiliary losses need."""

    logits_BTV: Tensor
    earlier_BTV: list[Tensor]
    memory: Memory


@dataclass(slots=True, kw_only=True)
class Memory:
    """What the decoder reads. ``earlier_BMD`` are memories of earlier cycles or segments, under deep supervision."""

    final_BMD: Tensor
    mask_B11M: Tensor
    earlier_BMD: list[Tensor]
    pooled_BD: Tensor
    core: CoreState | TokenState | None
    gate_B: Tensor | None
    aux: Tensor | None


class HrmLm(nn.Module):
    """Logits of the next decoder token. ``batch_rows`` is what turns rows trained on into updates, for the gate."""

    positions: Tensor

    def __init__(self, config: ModelConfig, vocab_size: int, batch_rows: int) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        width = config.d_model
        block = ExpertBlock if config.moe.enabled else partial(Block, placed=True)
        self.encoder_embedding, self.decoder_embedding = (nn.Embedding(vocab_size, width) for _ in range(2))
        self.encoder_blocks = nn.ModuleList(block(config) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        if config.memory != "encoder":
            if config.core.reads == "tokens":
                self.core, self.core_memory = TokenCore(config), TokenMemory(config, batch_rows)
            else:
                self.pool = nn.Linear(width, width, bias=False)
                self.core, self.core_memory = HrmCore(config), CoreMemory(config, batch_rows)
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
        """Encode, and think: with as many segments as the config says of training or of use."""
        states_BSD, aux = self._encode(encoder_ids_BS, mask_BS)
        pooled_BD, core, gate_B = masked_mean(states_BSD, mask_BS), None, None
        if self.config.memory == "encoder":
            found = [states_BSD]
        elif isinstance(self.core_memory, TokenMemory):
            core, gate_B, found = self._think_tokens(self.core_memory, states_BSD, mask_BS)
        else:
            core, gate_B, found = self._think(self.core_memory, pooled_BD)
            found = [torch.cat((v, states_BSD), dim=1) for v in found] if self.config.memory != "core" else found
        *earlier, final = found
        return Memory(
            final_BMD=final, mask_B11M=self._readable(final, mask_BS), earlier_BMD=earlier, pooled_BD=pooled_BD,
            core=core, gate_B=gate_B, aux=aux,
        )  # fmt: skip

    def segments(self, encoder_ids_BS: Tensor, mask_BS: Tensor) -> Iterator[Memory]:
        """The memory after each segment of a core that reads tokens, without end."""
        states_BSD, aux = self._encode(encoder_ids_BS, mask_BS)
        pooled_BD = masked_mean(states_BSD, mask_BS)
        for state in self.core(states_BSD, mask_BS):
            read_BMD, gate_B = self.core_memory(states_BSD, mask_BS, state)
            yield Memory(
                final_BMD=read_BMD, mask_B11M=self._readable(read_BMD, mask_BS), earlier_BMD=[], pooled_BD=pooled_BD,
                core=state, gate_B=gate_B, aux=aux,
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

    def _readable(self, memory_BMD: Tensor, mask_BS: Tensor) -> Tensor:
        """Bool B11M: the core's vectors, and of the encoder's states, where they are read, those of real tokens."""
        tail_BS = mask_BS if self.config.memory != "core" else mask_BS[:, :0]
        slots = mask_BS.new_ones(len(mask_BS), memory_BMD.shape[1] - tail_BS.shape[1])
        return torch.cat((slots, tail_BS), dim=1)[:, None, None]

    def _encode(self, ids_BS: Tensor, mask_BS: Tensor) -> tuple[Tensor, Tensor | None]:
        x_BSD, total = self.encoder_embedding(ids_BS) + self.positions[: ids_BS.shape[1]], None
        for block in self.encoder_blocks:
            if isinstance(block, ExpertBlock):
                x_BSD, aux = block(x_BSD, mask_BS)
                total = aux if total is None else total + aux
            else:
                x_BSD = block(x_BSD, mask_BS[:, None, None])
        return self.encoder_norm(x_BSD), total

    def _think(self, memory: CoreMemory, pooled_BD: Tensor) -> tuple[CoreState | None, Tensor | None, list[Tensor]]:
        if memory.shut:
            return None, None, [memory.closed(len(pooled_BD))]
        state = self.core(self.pool(pooled_BD))
        *earlier, (final, gate_B) = [memory(z_BD) for z_BD in state.z_BD]
        return state, gate_B, [*(vectors for vectors, _ in earlier), final]

    def _think_tokens(
        self, memory: TokenMemory, states_BSD: Tensor, mask_BS: Tensor
    ) -> tuple[TokenState | None, Tensor | None, list[Tensor]]:
        core = self.config.core
        if memory.shut:
            return None, None, [memory.closed(states_BSD)]
        count = trained_segments(core, memory.rows // memory.batch_rows) if self.training else core.eval_segments
        states = list(islice(self.core(states_BSD, mask_BS), count))
        read = states if self.training and core.ds_weight else states[-1:]
        *earlier, (final, gate_B) = [memory(states_BSD, mask_BS, state) for state in read]
        return states[-1], gate_B, [*(vectors for vectors, _ in earlier), final]

    def _decode(
        self, ids_BT: Tensor, memory_BMD: Tensor, mask_B11M: Tensor, caches: Sequence[LayerCache] | None, begin: int
    ) -> Tensor:
        x_BTD = self.decoder_embedding(ids_BT) + self.positions[begin : begin + ids_BT.shape[1]]
        for index, block in enumerate(self.decoder_blocks):
            x_BTD = block(x_BTD, memory_BMD, mask_B11M, caches[index] if caches else None)
        return self.decoder_norm(x_BTD)
