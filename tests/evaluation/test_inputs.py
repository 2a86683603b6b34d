"""Arrays and CSV files that the evaluation accepts, and the messages for those that it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.inputs import read_score_file


def _write(folder: Path, content: str | bytes) -> Path:
    path = folder / "scores.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_become_float64() -> None:
    pred, scores = paired([1, 2, 3], np.array([1, 0, 1], dtype=np.float32))
    assert pred.dtype == scores.dtype == np.float64
    assert pred.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("pred", "scores", "said"), [
    ([1.0, 2.0], [1.0, 2.0, 3.0], "2 predictions and 3 scores"),
    ([1.0], [1.0], "expected at least 2"),
    ([1.0, float("nan")], [1.0, 2.0], r"predictions: 1 of 2 values are not finite \(first: nan at position 1\)"),
    ([1.0, 2.0], [float("inf"), 2.0], r"scores: 1 of 2"),
    ([[1.0, 2.0]], [[1.0, 2.0]], r"shape \(1, 2\)"),
    (["a", "b"], [1.0, 2.0], "predictions: expected numbers"),
])
def test_refused_arrays(pred: object, scores: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        paired(pred, scores)


@pytest.mark.parametrize("content", [
    "score,prediction\n1,10\n2,20\n",
    "\ufeffscore,prediction\r\n1,10\r\n2,20\r\n",
    "image, prediction ,score\n\n\"a,b.png\",10,1\n,20,2\n\n",
    'prediction,score\r1e1,"1.0"\r 20 ,+2\r',
    "score;prediction\n1,0;10,0\n2;20\n",
    '[{"score": 1, "prediction": 10}, {"score": 2.0, "prediction": 2e1}]',
    "score,prediction\n1,10\n2,20\n".encode("utf-16"),
])
def test_accepted_files(tmp_path: Path, content: str | bytes) -> None:
    pred, scores = read_score_file(_write(tmp_path, content))
    assert pred.tolist() == [10.0, 20.0]
    assert scores.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("content", "said"), [
    ("", "the file is empty"),
    ("\n \n", "the file is empty"),
    ("score,prediction\n", "has 0 rows below its header"),
    ("score,prediction\n1,2\n", "has 1 rows below its header; expected one per image, at least 2"),
    ("score,pred\n1,2\n", r'scores.csv:1: the column "prediction" is missing from the header; found: score, pred'),
    ("score;prediction\n1;2\n", "separated by commas"),
    ("score,prediction,score\n1,2,3\n", 'column score occurs twice'),
    ("score,prediction\n1,2\n3,nan\n", r'scores.csv:3: prediction: got "nan"; expected a finite number'),
    ("score,prediction\n1,2\n,4\n", r'scores.csv:3: score: got ""'),
    ("score,prediction\n1,2\n3,inf\n", 'got "inf"'),
    ("score,prediction\n1,2\n3,good\n", 'got "good"'),
    ("score,prediction\n1,2\n3,1_0\n", 'got "1_0"'),
    ("score,prediction\n1,2\n3\n", r"scores.csv:3: 1 cells; expected 2"),
    ("score,prediction\n3,5,4\n", r"scores.csv:2: 3 cells; expected 2"),
    (b"score,prediction\n\xff\xfe,2\n", "is not UTF-8 text"),
])
def test_refused_files(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_score_file(_write(tmp_path, content))


def test_all_bad_lines_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"{i},x\n" for i in range(8))
    with pytest.raises(InputError) as caught:
        read_score_file(_write(tmp_path, "score,prediction\n" + rows))
    assert [f"scores.csv:{line}:" in str(caught.value) for line in (2, 6, 7)] == [True, True, False]
    assert "(and 3 more)" in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_score_file(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="is a folder; expected a table"):
        read_score_file(tmp_path)
