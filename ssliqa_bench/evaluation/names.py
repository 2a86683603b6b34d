"""Names of all metrics, apart from what computes them, for whoever only looks names up.

`always` are in every result; the others in `extra`, where a protocol asks for them. Metrics of classes need one that
says how images fall into classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ssliqa_bench.errors import InputError, unknown_name

ALWAYS = ("srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped")
CORRELATIONS = ("srcc", "krcc", "plcc_raw", "plcc_mapped")  # in [-1, 1]
FURTHER = ("mae_mapped", "rmse_raw", "main_score")
OF_NOISE = ("noise_limit", "rmse_star")  # where the ratings behind the scores are known
OF_CLASS_PAIRS = ("accuracy", "kappa_quadratic", "mae_argmax", "mae_macro", "mae_3", "mae_4", "mae_34")
OF_CLASSES = (*OF_CLASS_PAIRS, "mae_expect", "mae_cont", "mae_mos")  # the last three also need places on the scale


def extra_metrics(asked: Sequence[str], *, protocol: str, classes: bool) -> tuple[str, ...]:
    """The metrics of a protocol's list that are not computed anyway, each once.

    Args:
        classes: whether the protocol says how images fall into classes.

    Raises:
        InputError: no metric of that name, or one of classes in a protocol without.
    """
    known = (*ALWAYS, *FURTHER, *OF_CLASSES)
    for name in asked:
        if name not in known:
            where = f"metric of protocol {protocol}"
            raise unknown_name(where, name, known, "ssliqa-bench evaluate --help")
        if name in OF_CLASSES and not classes:
            raise InputError(
                f'Protocol "{protocol}" lists {name}, a metric of classes, but defines no classes; '
                f"expected for example classes: {{levels: 5, rule: modal}} beside metrics."
            )
    return tuple(dict.fromkeys(name for name in asked if name not in ALWAYS))
