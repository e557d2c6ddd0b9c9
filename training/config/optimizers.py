"""What a run can and cannot give an optimizer, by its name in lower case. Needs no torch.

A run here is one process that, in an update, goes forward and backward once over the batch and then steps once.
Whatever needs more is refused before anything runs, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.config.train import TrainConfig

IN_BACKWARD = (
    "it changes the weights inside the backward pass, before gradients can be added up, clipped and looked at; "
    "adafactor is as small in memory"
)
UNFIT_OPTIMIZERS = {
    "adalomo": IN_BACKWARD,
    "lomo": IN_BACKWARD,
    "bsam": "it needs three backward passes per update, at weights it disturbs in between",
    "demo": "it needs an initialised process group, whose members exchange gradients, and the package einops",
    "distributedmuon": "it needs an initialised process group; in the one process of a run muon does the same",
    "lbfgs": "it needs a closure that computes loss and gradient again, many times in one update",
    "lorarite": "it needs pairs of LoRA factors for parameters, and these models have whole matrices",
    "magma": "it needs another optimizer to wrap, which a config cannot describe",
    "spectralsphere": "it needs every parameter to be a matrix, and has no rule for biases, norms and embeddings",
}
"""The library's optimizers that a run cannot drive, with what each would need."""
MUON = ("adago", "adamuon", "muon", "muonclip", "normuon")
"""They orthogonalise hidden matrices (``use_muon``) and run AdamW, at a rate of its own, on all other parameters."""
SECOND_ORDER = ("adahessian", "sophiah")
"""They differentiate the gradient once more."""
RATE_DIVIDERS = ("asgd", "ftrl", "gravity")
"""They divide by the rate. At rate 0, where a warm-up begins, no weight moves, and these are not stepped."""
LOSS_READERS = ("alig", "emofact", "emolynx", "emonavi")
"""Their step depends on the value of the loss; handing it over asks the device once per update."""


def optimizer_problems(config: TrainConfig) -> Iterator[tuple[str, str, str]]:
    """(code, path, message) for an optimizer that cannot be driven, at all or under the other choices of ``config``."""
    name = config.optimizer.name.lower()
    if reason := UNFIT_OPTIMIZERS.get(name):
        yield "OPTIMIZER_UNFIT", "optimizer.name", f"{config.optimizer.name} cannot be used: {reason}"
    if name in SECOND_ORDER and config.compile:
        yield "OPTIMIZER_UNFIT", "compile", f"{name} needs second derivatives, which a compiled model has not"
    if name in SECOND_ORDER and config.gradient_checkpointing:
        message = f"{name} needs second derivatives, which recomputed activations have not"
        yield "OPTIMIZER_UNFIT", "gradient_checkpointing", message
    if name in SECOND_ORDER and config.precision == "fp16":
        message = f"{name} needs second derivatives, and fp16's scale would be in them; use bf16 or none"
        yield "OPTIMIZER_UNFIT", "precision", message
