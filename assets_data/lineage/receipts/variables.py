"""Environment variables under which the same code on the same data gives other bits: recorded, never judged.

Math libraries pick instructions, algorithms and threads by them (oneDNN, MKL, OpenBLAS, OpenMP, cuBLAS, ATen), and the
loader and the C library pick implementations. A value that could be a path, or longer than such settings are, is shown
by its digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from assets_data.lineage.identity.digests import digest_bytes

CPU = ("ONEDNN_", "DNNL_", "MKL_", "KMP_", "OMP_", "GOMP_", "OPENBLAS_", "GOTO_", "BLIS_", "ATEN_", "TORCH_")
"""Prefixes of what training on a CPU listens to; and, on any device, torch itself."""
LOADER = ("GLIBC_TUNABLES", "LD_PRELOAD", "LD_LIBRARY_PATH")
ACCELERATOR = (
    "CUDA_",
    "CUBLAS",
    "CUDNN_",
    "NCCL_",
    "NVIDIA_TF32",
    "PYTORCH_",
    "TORCHINDUCTOR_",
    "XLA_",
    "HIP",
    "MIOPEN_",
)
DATA = ("NPY_", "NUMBA_", "ARROW_", "POLARS_", "RAYON_", "PYTHONHASHSEED", "VECLIB_")

_SILENT = re.compile(
    r"(TOKEN|SECRET|PASSWORD|CREDENTIAL|API_KEY)"  # nobody's business
    r"|(_HOME|_DIR|_PATH|_FILE|_CACHE|_DUMP|VERBOSE|_LOGS?|_LOG_LEVEL|_DEBUG|_WARNINGS?|VISIBLE_DEVICES)$"  # no bit's
    r"|^(TORCH_)?NCCL_ASYNC_ERROR_HANDLING$"  # set by torchrun: when a process gives up, not what it computes
    r"|^KMP_(INIT_AT_FORK|DUPLICATE_LIB_OK)$"  # set by libraries as they are imported
)
_PLAIN = re.compile(r"[A-Za-z0-9_.,:;=+-]{1,64}")


def bit_variables(prefixes: tuple[str, ...] = (*CPU, *LOADER, *ACCELERATOR, *DATA)) -> Mapping[str, str]:
    """Those that are set now and begin like this, sorted."""
    names = (name for name in sorted(os.environ) if name.startswith(prefixes))
    return {name: _shown(os.environ[name]) for name in names if name in LOADER or not _SILENT.search(name)}


def _shown(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else digest_bytes(os.fsencode(value))
