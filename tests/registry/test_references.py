from __future__ import annotations

import pytest

from ssliqa_bench.registry.references import reference_words

ARTICLE = """@article{key,
  title   = {On {IQA} and
             More},
  author  = {Doe, Jane A. and Roe, Richard and {The Team}},
  journal = {Journal of Pictures},
  volume  = {7},
  year    = {2020}
}
"""


@pytest.mark.parametrize(("citation", "words"), [
    (ARTICLE, "Jane A. Doe, Richard Roe and The Team. On IQA and More. Journal of Pictures 7, 2020."),
    ("@misc{k,\n  author = {Doe, Jane},\n  title = {A Set},\n  year = {2019}\n}", "Jane Doe. A Set. 2019."),
    ("Doe: A Set,\n  2019", "Doe: A Set, 2019"),
    ("", ""),
])  # fmt: skip
def test_a_reference_in_words(citation: str, words: str) -> None:
    assert reference_words(citation) == words
