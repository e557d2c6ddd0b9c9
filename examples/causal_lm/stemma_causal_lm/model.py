"""GPT-2 out of torch.nn parts. Shapes: B batch, T places, D width, V vocabulary."""

from torch import Tensor, nn


class Gpt(nn.Module):
    """Next-token logits_BTV of ids_BT, T at most ``config.context``. The names are those ``write_gpt2`` asks for."""

    def __init__(self, config, vocab_size: int) -> None:
        super().__init__()
        sizes, order = (config.width, config.heads, 4 * config.width, 0.0, "gelu"), {"batch_first": True}
        blocks = (nn.TransformerEncoderLayer(*sizes, norm_first=True, **order) for _ in range(config.layers))
        self.wte, self.wpe = nn.Embedding(vocab_size, config.width), nn.Embedding(config.context, config.width)
        self.h, self.ln_f = nn.ModuleList(blocks), nn.LayerNorm(config.width)
        self.lm_head = nn.Linear(config.width, vocab_size, bias=False)
        for embedding in (self.wte, self.wpe):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, ids_BT: Tensor) -> Tensor:
        x_BTD = self.wte(ids_BT) + self.wpe.weight[: ids_BT.shape[1]]
        mask_TT = nn.Transformer.generate_square_subsequent_mask(ids_BT.shape[1], device=ids_BT.device)
        for block in self.h:
            x_BTD = block(x_BTD, src_mask=mask_TT, is_causal=True)
        return self.lm_head(self.ln_f(x_BTD))
