"""Where a run happens: device, precision, determinism settings, and a report of what could change its bits.

Promises that no setting made here outlives its ``with`` block. ``bit_facts`` are the facts under which a resume is
bit-equal; ``report`` adds what people want to know.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from typing import Any

import torch

from assets_data.lineage import TrainingError
from assets_data.lineage.receipts.code import environment as installed
from assets_data.lineage.receipts.variables import ACCELERATOR, CPU, LOADER, bit_variables
from training.config import TrainConfig, derived_seed
from training.generators import forked_generators, seed_generators

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = (":4096:8", ":16:8")
"""The two settings under which cuBLAS is deterministic (NVIDIA's cuBLAS manual, "Results reproducibility")."""


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def pick_device(config: TrainConfig) -> torch.device:
    """The device of a run. Raises TrainingError DEVICE_MISSING when CUDA is asked for and there is none."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        action = "use device=auto or run on a machine with a GPU"
        raise TrainingError("DEVICE_MISSING", "no CUDA device", expected="cuda", found="cpu only", action=action)
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")


def autocast(config: TrainConfig, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast to the config's precision; ``auto`` is bf16 on CUDA and nothing elsewhere."""
    name = config.precision if config.precision != "auto" else "bf16" if device.type == "cuda" else "none"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)
    return torch.autocast(device.type, dtype=dtype) if dtype else contextlib.nullcontext()


@contextlib.contextmanager
def reproducible(config: TrainConfig) -> Iterator[torch.device]:
    """Threads, deterministic algorithms and the generators set for the run, and all put back afterwards."""
    device = pick_device(config)
    workspace = os.environ.get(WORKSPACE)
    memory: Any = torch.utils.deterministic
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    with forked_generators():
        try:
            os.environ.setdefault(WORKSPACE, WORKSPACES[0])  # read when cuBLAS starts
            torch.set_num_threads(config.threads or threads)
            torch.use_deterministic_algorithms(True)
            memory.fill_uninitialized_memory = False  # costs a pass over every fresh buffer
            torch.backends.cudnn.benchmark = False
            seed_generators(derived_seed(config.seed, "train"))
            yield device
        finally:
            if workspace is None:
                os.environ.pop(WORKSPACE, None)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            memory.fill_uninitialized_memory = fill
            torch.backends.cudnn.benchmark = benchmark


def bit_facts(device: torch.device) -> dict[str, Any]:
    """What must stay the same for a resumed run to be bit-equal. Call inside :func:`reproducible`.

    ``math_variables`` are the environment's that choose instructions and algorithms, where any are set; how many
    threads they ask for is in ``threads``.
    """
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device.type,
    }
    prefixes = (*CPU, *LOADER, *(ACCELERATOR if device.type == "cuda" else ()))
    if chosen := {name: value for name, value in bit_variables(prefixes).items() if name not in _THREADS}:
        facts["math_variables"] = chosen
    if device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
        facts["cudnn"] = torch.backends.cudnn.version()
    return facts


def report(device: torch.device) -> dict[str, Any]:
    """The bit facts, plus interpreter, platform, GPUs and the digest of every installed distribution."""
    return {
        **bit_facts(device),
        **installed(),
        "cuda": torch.version.cuda,
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "processors": os.cpu_count(),
        "determinism": determinism(),
    }


def determinism() -> dict[str, Any]:
    """The settings that decide whether the same run gives the same bits, as they are now."""
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cublas_workspace": os.environ.get(WORKSPACE),
    }
