from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.runner import devices


@pytest.mark.parametrize(("there", "asked", "kind"), [(0, "auto", "cpu"), (2, "auto", "cuda"), (0, "cpu", "cpu"),
                                                     (2, "cpu", "cpu"), (1, "cuda", "cuda")])
def test_the_kind_follows_from_what_is_asked_and_what_is_there(
    monkeypatch: pytest.MonkeyPatch, there: int, asked: str, kind: str
) -> None:
    monkeypatch.setattr(devices, "cuda_devices", lambda: there)
    assert devices.device_kind(asked) == kind


def test_what_is_not_there_or_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_devices", lambda: 0)
    with pytest.raises(RunError, match="no CUDA device"):
        devices.device_kind("cuda")
    with pytest.raises(InputError, match="auto, cpu or cuda"):
        devices.device_kind("gpu")


@pytest.mark.parametrize("hidden", ["", "-1", " "])
def test_devices_hidden_from_the_process_do_not_count(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert devices.cuda_devices() == 0


def test_asking_for_the_device_does_not_import_torch() -> None:
    script = "import sys; from ssliqa_bench.runner import devices; devices.device_kind('auto'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "ssliqa_bench.runner.devices" in done.stdout.split() and "torch" not in done.stdout.split()


def test_threads_are_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import torch
    from threadpoolctl import threadpool_info

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    np.ones((4, 4)) @ np.ones((4, 4))
    devices.prepare_process("cpu", 1)
    assert torch.get_num_threads() == 1 and os.environ["OMP_NUM_THREADS"] == "1"
    assert all(library["num_threads"] == 1 for library in threadpool_info())
