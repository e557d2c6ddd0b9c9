"""Models written for transformers, by transformers itself: the same logits, or a refusal."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from assets_data.lineage import TrainingError
from tests.assets_data.lineage.mini_chain import MiniConfig
from training.tokens.hub import write_gpt2

SIZES = {"layers": 3, "width": 16, "heads": 2, "context": 12}
INPUTS = {"tokenizer": "sha256:none", "vocab_size": 20, "pad": 0, "bos": 1, "eos": 2}


class Parts(nn.Module):
    """GPT-2 of torch's parts. Every parameter is drawn, so that none can be swapped unseen."""

    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(20, 16), nn.Embedding(12, 16)
        layers = (
            nn.TransformerEncoderLayer(16, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(3)
        )
        self.h, self.ln_f, self.lm_head = nn.ModuleList(layers), nn.LayerNorm(16), nn.Linear(16, 20, bias=False)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5)

    def forward(self, ids_BT):
        x, mask = self.wte(ids_BT) + self.wpe.weight[: ids_BT.shape[1]], torch.ones(ids_BT.shape[1], ids_BT.shape[1])
        for layer in self.h:
            x = layer(x, src_mask=torch.triu(mask, 1).bool())
        return self.lm_head(self.ln_f(x))


def publish(store, tensors):
    def build(writer):
        save_file(tensors, writer.part("model.safetensors"))
        writer.write_json("training.json", {"model_inputs": INPUTS})

    arguments = {"names": sorted(tensors)}
    return store.run_stage(
        name="parts/checkpoint", module=__name__, config=MiniConfig(), parents={}, arguments=arguments, build=build
    )


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Parts().eval()


def test_transformers_computes_the_same_logits(store, model, tmp_path):
    transformers = pytest.importorskip("transformers", reason="the extra 'peers' is not installed")
    loading = write_gpt2(publish(store, model.state_dict()), tmp_path, **SIZES)
    stock = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.randint(0, 20, (4, 12))
    with torch.no_grad():
        ours, theirs = model(ids), stock(ids).logits
    assert loading.library == "transformers" and ours.std() > 1
    assert torch.allclose(ours, theirs, atol=1e-4), (ours - theirs).abs().max()
    assert (stock.config.bos_token_id, stock.config.eos_token_id, stock.config.pad_token_id) == (1, 2, 0)


def test_the_weights_are_all_there_bit_for_bit(store, model, tmp_path):
    write_gpt2(publish(store, model.state_dict()), tmp_path, **SIZES)
    written, own = load_file(tmp_path / "model.safetensors"), model.state_dict()
    assert sum(tensor.numel() for tensor in written.values()) == sum(tensor.numel() for tensor in own.values())
    assert torch.equal(written["transformer.h.2.attn.c_attn.weight"], own["h.2.self_attn.in_proj_weight"].T)
    assert torch.equal(written["transformer.h.0.mlp.c_proj.bias"], own["h.0.linear2.bias"])


@pytest.mark.parametrize("change", ["a bias too many", "a layer short"])
def test_a_model_with_other_parts_is_refused(store, model, tmp_path, change):
    tensors = model.state_dict()
    if change == "a bias too many":
        tensors["lm_head.bias"] = torch.zeros(20)
    else:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("h.2.")}
    with pytest.raises(TrainingError) as caught:
        write_gpt2(publish(store, tensors), tmp_path, **SIZES)
    assert caught.value.code == "EXPORT_NOT_GPT2" and not list(tmp_path.glob("*.safetensors"))
