"""Exact numbers of parameters, and Table VIII of the SSLIQA paper that follows from them."""

from __future__ import annotations

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.counts import parameter_counts

REGISTRY = load_registry()
STUDENT = 2_470_981
# Teacher branch, and as the paper prints it: both together in millions, and student against teacher.
TEACHERS = {
    "ssliqa-irv2": (55_226_021, 57.7, 4.5),
    "ssliqa-densenet121": (7_611_269, 10.1, 32.9),
    "ssliqa": (45_255_749, 47.8, 5.5),
    "ssliqa-tres": (152_452_265, 155.0, 1.6),
}


@pytest.mark.parametrize("method", TEACHERS)
def test_branches_and_the_papers_table(method: str) -> None:
    if method == "ssliqa-tres":
        pytest.importorskip("pyiqa")
    teacher, together, share = TEACHERS[method]
    counts = parameter_counts(method, "paper", REGISTRY)
    assert counts == {"student": STUDENT, "teacher": teacher}
    # The printed numbers are sums and quotients of branches that were rounded first.
    rounded = {role: round(count / 1e6, 1) for role, count in counts.items()}
    assert rounded["student"] == 2.5 and round(sum(rounded.values()), 1) == together
    assert round(100 * rounded["student"] / rounded["teacher"], 1) == share


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("ssliqa-mobilenetv3", 2_976_757),
        ("ssliqa-efficientnetb0", 4_013_953),
    ],
)
def test_other_students(method: str, parameters: int) -> None:
    assert parameter_counts(method, "paper", REGISTRY) == {"student": parameters, "teacher": 45_255_749}


@pytest.mark.parametrize(("hidden", "parameters"), [([], STUDENT), ([128], 2_503_237), ([256], 2_536_773)])
def test_layers_of_the_student(hidden: list[int], parameters: int) -> None:
    import torch

    from ssliqa_bench.methods.ssliqa.ssliqa import SupervisedBranch
    from ssliqa_bench.runner.resolve import learner_params

    method = REGISTRY.resolve_method("ssliqa-baseline-alexnet", "paper", {"student_hidden": hidden})
    with torch.device("meta"):
        networks = SupervisedBranch(learner_params(method, REGISTRY.backbones_of(method))).networks()
    assert sum(p.numel() for p in networks["student"].parameters()) == parameters


def test_baselines_have_one_branch() -> None:
    assert parameter_counts("ssliqa-baseline-alexnet", "paper", REGISTRY) == {"student": STUDENT}
    assert parameter_counts("ssliqa-supervised", "paper", REGISTRY) == {"student": STUDENT}
    assert parameter_counts("ssliqa-baseline-resnet101", "paper", REGISTRY) == {"student": 45_255_749}


def test_other_methods() -> None:
    assert parameter_counts("ssiqa", "demo", REGISTRY) == parameter_counts("supervised", "demo", REGISTRY)
    (count,) = parameter_counts("ssiqa", "paper", REGISTRY).values()
    assert 21e6 < count < 23e6


def test_a_network_that_looks_at_its_values_is_made_for_real(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "mine.yaml"
    file.write_text(
        "methods:\n  mine: {extends: ssliqa-baseline-alexnet, about: {title: Mine}, "
        "params: {student_backbone: 'torchvision:regnet_y_400mf'}}\n"
    )
    (count,) = parameter_counts("mine", "paper", load_registry([file])).values()
    assert 3e6 < count < 5e6


def test_a_network_without_a_map_is_said(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "mine.yaml"
    file.write_text(
        "methods:\n  mine: {extends: ssliqa, about: {title: Mine}, params: {teacher_backbone: 'timm:test_vit'}}\n"
    )
    with pytest.raises(InputError, match="timm:test_vit.*without height"):
        parameter_counts("mine", "paper", load_registry([file]))
