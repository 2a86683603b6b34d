"""The file of a dataset's predictions: what goes in comes out, and nothing else is taken for one."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.store.predictions import Predictions, StagePredictions, from_parquet, to_parquet
from tests.store.made_record import rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
CLASS = st.none() | st.integers(-(2**63), 2**63 - 1)


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    n = draw(st.integers(0, 4))

    def column(values: st.SearchStrategy[Any], optional: bool = True) -> Any:
        whole = st.tuples(*[values] * n)
        return draw(st.none() | whole if optional else whole)

    texts = {name: column(TEXT) for name in ("group", "reference", "distortion", "level", "part")}
    stages = {
        name: StagePredictions(column(NUMBER, optional=False), column(CLASS))
        for name in draw(st.lists(TEXT.filter(bool), max_size=2, unique=True))
    }
    return Predictions(
        image=column(TEXT, optional=False),
        score=column(st.none() | NUMBER, optional=False),
        prediction=column(NUMBER, optional=False),
        true_class=column(CLASS),
        predicted_class=column(CLASS),
        rating_std=column(st.none() | NUMBER),
        n_ratings=column(st.none() | NUMBER),
        stages=stages,
        **texts,
    )


@given(predictions())
def test_every_value_comes_back(own: Predictions) -> None:
    data = to_parquet(own, "a")
    assert from_parquet(data, "a", "here") == own
    assert to_parquet(own, "a") == data


def test_columns_without_a_value_are_not_written() -> None:
    plain = Predictions(("1.png",), (2.0,), (0.5,), true_class=(None,), level=("",))
    assert plain.true_class is None and plain.level is None
    names = parquet.read_schema(io.BytesIO(to_parquet(plain, "a"))).names
    assert names == ["image", "role", "dataset", "score", "prediction"]
    whole = rows(true_class=(4, None), part=("", "web"))
    names = parquet.read_schema(io.BytesIO(to_parquet(whole, "a"))).names
    assert names[5:] == ["true_class", "part", "prediction:initial"]


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="group: got 1 values for 2 images"):
        rows(group=("g",))
    with pytest.raises(ValueError, match="stage x: got 1"):
        Predictions(("a", "b"), (1.0, 2.0), (1.0, 2.0), stages={"x": StagePredictions((0.0,))})


def test_without_images_only_predictions_stay() -> None:
    whole = rows(group=("g", "h"), true_class=(1, 2), predicted_class=(0, 1), n_ratings=(5.0, None))
    bare = whole.without_images()
    assert bare.image == ("", "") and all(value != value for value in bare.score)
    assert (bare.prediction, bare.predicted_class, bare.stages) == (whole.prediction, (0, 1), whole.stages)
    assert (bare.group, bare.true_class, bare.n_ratings) == (None, None, None)


def changed(**columns: Any) -> bytes:
    table = parquet.read_table(io.BytesIO(to_parquet(rows(), "a")))
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        if values is not None:
            table = table.append_column(name, values)
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prediction": None}, "column prediction: is missing"),
        ({"prediction": pa.array(["0.1", "0.2"])}, "column prediction: got string; expected double"),
        ({"prediction": pa.array([0.1, None])}, "column prediction: has empty cells"),
        ({"image": pa.array([1, 2])}, "column image: got int64; expected string"),
        ({"image": pa.array(["a", None])}, "column image: has empty cells"),
        ({"role": pa.array(["test", "labeled"])}, 'column role: expected "test"'),
        ({"dataset": pa.array(["a", "b"])}, 'column dataset: expected "a"'),
        ({"strange": pa.array([1, 2])}, "column strange: is not known"),
        ({"level": pa.array([1, 2])}, "column level: got int64; expected string"),
        ({"prediction:initial": pa.array([0.1, None])}, "column prediction:initial: has empty cells"),
        ({"predicted_class:other": pa.array([1, 2])}, "there is no column prediction:other"),
        ({"score:initial": pa.array([1.0, 2.0])}, "column score:initial: is not known"),
    ],
)
def test_other_columns_are_named(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(CorruptFileError, match="^here: ") as caught:
        from_parquet(changed(**columns), "a", "here")
    assert said in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"\0" * 64, to_parquet(rows(), "a")[:-9]])
def test_what_is_no_parquet_file_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match="here: not readable as parquet"):
        from_parquet(data, "a", "here")
