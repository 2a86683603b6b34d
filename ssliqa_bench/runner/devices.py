"""Which device a run uses, found out without importing torch."""

from __future__ import annotations

import ctypes
import os

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.runner.numerics import fix_numerics
from ssliqa_bench.store import provenance

KINDS = ("cpu", "cuda")


def device_kind(asked: str) -> str:
    """`cpu` or `cuda` for what was asked: auto, cpu or cuda. Auto takes CUDA where the driver shows a device.

    Raises:
        InputError: another word.
        RunError: CUDA was asked for and the driver shows no device.
    """
    if asked == "auto":
        return "cuda" if cuda_devices() else "cpu"
    if asked not in KINDS:
        raise InputError(f'--device: got "{asked}"; expected auto, cpu or cuda.')
    if asked == "cuda" and not cuda_devices():
        raise RunError(
            "--device cuda: the driver shows no CUDA device. Run with --device cpu, or check "
            "nvidia-smi and CUDA_VISIBLE_DEVICES."
        )
    return asked


def cuda_devices() -> int:
    """Number of CUDA devices that the driver shows to this process; 0 without a driver."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return 0
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def reset_peak_memory(device: str) -> None:
    """Begin anew with the largest memory of this process or device."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    else:
        provenance.reset_process_peak()


def peak_memory_bytes(device: str) -> int:
    """Largest memory since `reset_peak_memory`: of the GPU on CUDA, else of the process."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return provenance.process_peak_bytes()


def prepare_process(device: str, threads: int) -> None:
    """Make this process ready to compute: see `fix_numerics`; then check the device.

    Raises:
        RunError: the driver shows a device that this torch cannot use.
    """
    fix_numerics(device, threads)
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise RunError(
            f"The driver shows a CUDA device, but torch {torch.__version__} cannot use it (a build for the CPU, or for "
            f"another CUDA version). Run with --device cpu, or install a torch that fits the driver."
        )
