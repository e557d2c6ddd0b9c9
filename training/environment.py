"""Where a run happens: device, determinism settings, derived seeds, and a report of what could change its bits.

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
from assets_data.lineage.code import environment as installed
from assets_data.lineage.order import stream_key
from training.config import TrainConfig


def derived_seed(seed: int, name: str) -> int:
    """A 52-bit seed for one purpose, hashed from the run's seed and the purpose's name: never ``seed + 1``."""
    return int(stream_key(seed, f"seed/{name}")) >> 12


def pick_device(config: TrainConfig) -> torch.device:
    """The device of a run. Raises TrainingError DEVICE_MISSING when CUDA is asked for and there is none."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        action = "use device=auto or run on a machine with a GPU"
        raise TrainingError("DEVICE_MISSING", "no CUDA device", expected="cuda", found="cpu only", action=action)
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")


def autocast(config: TrainConfig, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bf16 autocast where the config (or, for ``auto``, CUDA) calls for it; otherwise nothing."""
    wanted = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16) if wanted else contextlib.nullcontext()


@contextlib.contextmanager
def reproducible(config: TrainConfig) -> Iterator[torch.device]:
    """Threads, deterministic algorithms and torch's generators set for the run, and all put back afterwards."""
    device = pick_device(config)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, when cuBLAS starts
    memory: Any = torch.utils.deterministic
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            torch.set_num_threads(config.threads or threads)
            torch.use_deterministic_algorithms(True)
            memory.fill_uninitialized_memory = False  # costs a pass over every fresh buffer
            torch.backends.cudnn.benchmark = False
            torch.manual_seed(derived_seed(config.seed, "train"))
            yield device
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            memory.fill_uninitialized_memory = fill
            torch.backends.cudnn.benchmark = benchmark


def bit_facts(device: torch.device) -> dict[str, Any]:
    """What must stay the same for a resumed run to be bit-equal. Call inside :func:`reproducible`."""
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device.type,
    }
    if device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
        facts["cudnn"] = torch.backends.cudnn.version()
    return facts


def report(device: torch.device) -> dict[str, Any]:
    """The bit facts, plus interpreter, platform, GPUs and the digest of every installed distribution."""
    return {
        **bit_facts(device),
        **installed(),
        "gpus": torch.cuda.device_count(),
        "processors": os.cpu_count(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }
