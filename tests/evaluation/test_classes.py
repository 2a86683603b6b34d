"""Metrics of classes against scikit-learn, against the constant prediction of KOKA10K, and where they are undefined."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.classes import (
    ClassInputs,
    accuracy,
    class_facts,
    confusion,
    kappa_quadratic,
    mae_argmax,
    mae_macro,
    mae_of,
    most_frequent,
)
from ssliqa_bench.evaluation.metrics import METRICS, evaluate, input_checksum
from ssliqa_bench.evaluation.names import ALWAYS, FURTHER, OF_CLASSES, extra_metrics

# Test images per class, Table 1 of Dang et al.: 23, 139, 515, 347, 23.
TRUE = np.repeat(np.arange(5), [23, 139, 515, 347, 23])


@pytest.mark.parametrize("seed", range(3))
def test_they_are_scikit_learns(seed: int) -> None:
    pred = np.clip(TRUE + np.random.default_rng(seed).integers(-2, 3, len(TRUE)), 0, 4)
    assert accuracy(pred, TRUE) == pytest.approx(accuracy_score(TRUE, pred))
    assert kappa_quadratic(pred, TRUE) == pytest.approx(cohen_kappa_score(TRUE, pred, weights="quadratic"))
    np.testing.assert_array_equal(confusion(pred, TRUE, 5), confusion_matrix(TRUE, pred))
    by_class = [np.abs(pred - TRUE)[k == TRUE].mean() for k in range(5)]
    assert mae_macro(pred, TRUE) == pytest.approx(np.mean(by_class))
    assert mae_of(3)(pred, TRUE) == pytest.approx(by_class[3])
    assert mae_of(3, 4)(pred, TRUE) == pytest.approx((347 * by_class[3] + 23 * by_class[4]) / 370)


def test_kappa_of_many_images_needs_no_table_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    true = random.integers(0, 5, 50_000)
    pred = np.clip(true + random.integers(-1, 3, len(true)), 0, 4)
    assert kappa_quadratic(pred, true) == pytest.approx(cohen_kappa_score(true, pred, weights="quadratic"), rel=1e-12)
    assert kappa_quadratic(np.full(50_000, 3), np.full(50_000, 3)) is None
    assert kappa_quadratic(np.full(50_000, 3), np.full(50_000, 2)) == 0


def test_always_predicting_class_2() -> None:
    pred = np.full(len(TRUE), 2)
    assert mae_argmax(pred, TRUE) == pytest.approx(0.552, abs=1e-3)
    assert accuracy(pred, TRUE) == pytest.approx(0.492, abs=1e-3)
    assert (mae_of(3)(pred, TRUE), mae_of(4)(pred, TRUE)) == (1, 2)
    assert mae_of(3, 4)(pred, TRUE) == pytest.approx(1.062, abs=1e-3)
    assert mae_macro(pred, TRUE) == pytest.approx(1.2)
    top, share, error = most_frequent(np.bincount(TRUE).tolist())
    assert (top, share, error) == (2, accuracy(pred, TRUE), mae_argmax(pred, TRUE))


def test_always_predicting_class_2_where_the_labels_are_those_of_koniq_alone() -> None:
    top, share, error = most_frequent([8, 138, 515, 347, 0])
    assert (top, round(share, 3), round(error, 3)) == (2, 0.511, 0.497)


def test_values_that_are_no_classes_have_none() -> None:
    for function in (accuracy, mae_argmax, mae_macro, kappa_quadratic, mae_of(3)):
        assert function([0.5, 1, 2], [1, 1, 2]) is None and function([1, 2], [-1, 2]) is None
    assert mae_of(4)([1, 2], [1, 2]) is None and kappa_quadratic([1, 1], [1, 1]) is None
    with pytest.raises(ValueError, match="must hold classes"):
        confusion([0.5], [1], 2)


def test_they_are_asked_for_by_name() -> None:
    names = ("accuracy", "mae_argmax", "mae_3", "mae_4", "mae_34", "mae_macro", "kappa_quadratic")
    extra = evaluate([0, 2, 3, 3, 4, 4], [0, 2, 3, 4, 4, 4], extra=names)["extra"]
    assert extra["accuracy"] == pytest.approx(5 / 6) and extra["mae_4"] == pytest.approx(1 / 3)
    assert extra["mae_34"] == pytest.approx(1 / 4) and extra["mae_3"] == 0


def inputs(**changes: object) -> ClassInputs:
    given = {"true": np.array([3, 0, 4, -1]), "predicted": np.array([2, 0, 4, 1]), "levels": 5, "rule": "modal",
             "scale": (0.0, 100.0), **changes}  # fmt: skip
    return ClassInputs(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ["modal", "equal_width"])
@pytest.mark.parametrize("scale", [(0.0, 100.0), (-9.0, 0.0)], ids=["MOS", "DMOS turned round"])
def test_errors_of_the_expected_class_worked_out_by_hand(rule: str, scale: tuple[float, float]) -> None:
    """The first image is the example of the literature: shares (0, .1, .6, .3, 0) of an image of class 3."""
    expected = np.array([2.2, 0.5, 3.5, 1.0])
    places = np.array([2.9, 0.25, 4.0, 1.0])
    steps = 5 if rule == "equal_width" else 4
    shift = 0.5 if rule == "equal_width" else 0.0
    quality = (expected + shift) / steps
    low, high = scale
    scores = low + (places + shift) / steps * (high - low)
    names = ("mae_expect", "mae_cont", "mae_mos", "mae_argmax")
    extra = evaluate(quality, scores, extra=names, classes=inputs(rule=rule, scale=scale))["extra"]
    gaps = [abs(2.2 - 2.9), abs(0.5 - 0.25), abs(3.5 - 4.0)]  # the class of the last image is not known
    assert extra["mae_expect"] == pytest.approx(np.mean([0.8, 0.5, 0.5]))
    assert extra["mae_cont"] == pytest.approx(np.mean(gaps))
    assert extra["mae_mos"] == pytest.approx(np.mean(gaps) * (high - low) / steps)
    assert extra["mae_argmax"] == pytest.approx(1 / 3)


def test_perfect_levels_of_uniform_scores_leave_a_quarter_of_the_width() -> None:
    scores = np.linspace(0, 100, 50_001)[:-1]
    levels = np.minimum(scores // 20, 4).astype(int)
    given = inputs(true=levels, predicted=levels, rule="equal_width")
    names = ("mae_mos", "mae_argmax")
    extra = evaluate((levels + 0.5) / 5, scores, mapping="none", extra=names, classes=given)["extra"]
    assert extra["mae_argmax"] == 0 and extra["mae_mos"] == pytest.approx(5, abs=1e-3)


def test_scores_beyond_the_scale_count_as_its_ends() -> None:
    given = inputs(true=np.array([0, 4]), predicted=np.array([0, 4]))
    extra = evaluate([0.0, 1.0], [-5.0, 130.0], mapping="none", extra=("mae_cont",), classes=given)["extra"]
    assert extra["mae_cont"] == 0


def test_a_model_without_classes_has_none_of_these_metrics_and_all_others() -> None:
    quality, scores = [0.1, 0.2, 0.6, 0.4], [10.0, 20.0, 90.0, 40.0]
    result = evaluate(quality, scores, extra=(*OF_CLASSES, "rmse_raw"), classes=inputs(predicted=None))
    assert all(result["extra"][name] is None for name in OF_CLASSES)
    assert result["srcc"] == pytest.approx(1) and result["extra"]["rmse_raw"] > 0
    nothing = evaluate(quality, scores, extra=OF_CLASSES, classes=inputs(true=np.full(4, -1)))
    assert set(nothing["extra"].values()) == {None}


def test_what_is_said_class_by_class() -> None:
    told = class_facts(inputs())
    assert told["images"] == [1, 0, 0, 1, 1] and told["unknown"] == 1 and told["predicted"] == [1, 0, 1, 0, 1]
    assert told["error"] == [0, None, None, 1, 0]
    table = np.array(told["confusion"])
    assert table[3, 2] == table[0, 0] == table[4, 4] == 1 and table.sum() == 3
    without = class_facts(inputs(predicted=None))
    assert without["confusion"] is without["predicted"] is without["error"] is None
    assert without["images"] == told["images"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"true": np.array([5, 0, 0, 0])}, "true classes: got 0 to 5; expected -1 to 4"),
        ({"predicted": np.array([0, -1, 0, 0])}, "predicted classes: got -1 to 0; expected 0 to 4"),
        ({"predicted": np.array([0, 1])}, r"predicted classes: got shape \(2,\); expected \(4,\)"),
    ],
)
def test_classes_that_do_not_fit(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        inputs(**changes)


def test_classes_of_other_images() -> None:
    with pytest.raises(InputError, match="Got 4 classes and 3 scores"):
        evaluate([1, 2, 3], [1, 2, 3], classes=inputs())


def test_the_checksum_covers_the_classes() -> None:
    names, scores, quality = list("abcd"), [1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4]
    changed = [
        None, inputs(), inputs(predicted=None), inputs(true=np.array([3, 0, 4, 0])),
        inputs(predicted=np.array([2, 0, 4, 2])),
    ]  # fmt: skip
    assert len({input_checksum(names, scores, quality, own) for own in changed}) == len(changed)
    turned = inputs(true=np.array([-1, 4, 0, 3]), predicted=np.array([1, 4, 0, 2]))
    assert input_checksum(names[::-1], scores[::-1], quality[::-1], turned) == input_checksum(
        names, scores, quality, inputs()
    )


def test_names_are_those_of_the_table() -> None:
    assert tuple(metric.name for metric in METRICS) == (*ALWAYS, *FURTHER, *OF_CLASSES)
    assert tuple(metric.name for metric in METRICS if metric.always) == ALWAYS
    assert {metric.name for metric in METRICS if metric.of not in ("raw", "mapped", "units")} == set(OF_CLASSES)


def test_a_protocol_may_ask_for_what_there_is() -> None:
    asked = ("srcc", "rmse_raw", "accuracy", "rmse_raw")
    assert extra_metrics(asked, protocol="own", classes=True) == ("rmse_raw", "accuracy")
    assert extra_metrics(ALWAYS, protocol="own", classes=False) == ()
    with pytest.raises(InputError, match=r'"acuracy". Did you mean .accuracy.'):
        extra_metrics(("acuracy",), protocol="own", classes=True)
    with pytest.raises(InputError, match="but defines no classes"):
        extra_metrics(("mae_3",), protocol="own", classes=False)
