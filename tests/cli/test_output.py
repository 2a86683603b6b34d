"""How runs are shown: whatever the overrides and the screen, no figure is cut."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.cells import cell_len

from ssliqa_bench.cli.output import print_runs

LONG = {"weights_file": "sha256:" + "0123456789abcdef" * 4, "backbone": "timm:" + "vit_small_patch16_" * 4, "lr": 1e-4}
FIGURES = ["0.8123", "0.6234", "0.7901", "0.8011", "0.4321"]


def entry(**overrides: Any) -> dict[str, Any]:
    names = ("srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped")
    metrics = {"side": "labeled", "n": 1162, "mapping": "ok", **dict(zip(names, map(float, FIGURES)))}
    return {"method": "ssiqa", "pair": "a-long-name:another", "seed": 12, "overrides": overrides, "status": "done",
            "error": None, "seconds": 123.4, "key": "f" * 64, "metrics": {"a-long-name": metrics}}  # fmt: skip


@pytest.mark.parametrize("width", [None, 30, 40, 80, 200])
@pytest.mark.parametrize("overrides", [{}, LONG], ids=["plain", "overrides"])
def test_figures_are_never_cut(capsys: pytest.CaptureFixture[str], width: int | None, overrides: Any) -> None:
    print_runs([entry(**overrides), entry()], width)
    out = capsys.readouterr().out
    assert all(out.count(figure) == 2 for figure in FIGURES) and "…" not in out
    assert out.count("f" * 12) == 2 and len(re.findall(r"\b1162\b", out)) == 2
    assert all(f"{name}={value}" in out for name, value in overrides.items())
    words = {word for word in out.split() if "=" not in word}
    assert all(cell_len(line) <= (width or 180) for line in out.splitlines() if set(line.split()) <= words)


def test_overrides_stand_below_their_run_and_widen_no_column(capsys: pytest.CaptureFixture[str]) -> None:
    print_runs([entry(), entry(**LONG)])
    plain, long = capsys.readouterr().out.splitlines()[1:3]
    assert plain == long
    print_runs([entry()])
    assert capsys.readouterr().out.splitlines()[1] == plain


def test_names_are_printed_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    print_runs([entry(note="[bold]x[/bold] :smile: \x1b[31m")], 40)
    out = capsys.readouterr().out
    assert "note=[bold]x[/bold] :smile: \\x1b[31m" in out and "\x1b" not in out
