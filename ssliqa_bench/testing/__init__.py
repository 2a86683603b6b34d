"""Conformance tests for contributors, and questions about learners that only a test may ask."""

from ssliqa_bench.testing.conformance import Check, check_method, require_conformance
from ssliqa_bench.testing.pseudo_labels import metrics_with_pseudo_labels
from ssliqa_bench.testing.true_consistency import metrics_with_true_consistency

__all__ = [
    "Check",
    "check_method",
    "require_conformance",
    "metrics_with_pseudo_labels",
    "metrics_with_true_consistency",
]
