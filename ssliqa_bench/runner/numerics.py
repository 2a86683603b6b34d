"""How this process computes: threads, and kernels that give one result. Part of every stage and prediction key."""

from __future__ import annotations

import os


def fix_numerics(device: str, threads: int) -> None:
    """Fix the threads of all numerical libraries and, on CUDA, the order of sums. Imports torch.

    The variables bind what is not loaded yet (torch, the BLAS of scipy), the limits what is (the BLAS of numpy): sums
    over another number of threads round otherwise.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    torch.set_num_threads(threads)
    if device == "cuda":
        # Same seed, same result: no kernel that adds in whatever order its threads finish, where torch has another.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
