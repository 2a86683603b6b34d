"""Whatever bytes a reader meets, it reads them or refuses them in the package's own words."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssliqa_bench.errors import SsliqaError
from tests.faults.conftest import size

pytestmark = pytest.mark.faults

EXAMPLES = size("EXAMPLES", 150)
CELLS = st.sampled_from(["1", "2.5", "a.png", "", " ", '"', '""', ",", ";", "\n", "\r\n", "\t", "nan", "1e999", "é",
                         "\0", "image", "score", "prediction", "split", "train", "test", "dataset",
                         "\ufeff"])  # fmt: skip
TABLES = st.one_of(st.lists(CELLS, max_size=40).map(lambda cells: "".join(cells).encode()), st.binary(max_size=200))
YAML = st.one_of(
    st.lists(st.sampled_from(["datasets:", "methods:", "x:", " ", "\n", "[", "]", "{", "}", "- ", "&a ", "*a", "!!set ",
                              "about: {title: t}", "kind: authentic", "extends: x", "1", "null", "'", '"', "#", "\t"]),
             max_size=25).map(lambda words: "".join(words).encode()),
    st.binary(max_size=120),
)  # fmt: skip


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> None:
    request.node.user_properties.append(("fuzzed files", EXAMPLES))


def refused_or_read(read: object, path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        read(path)  # type: ignore[operator]
    except SsliqaError as error:
        assert path.name in str(error)


@given(TABLES)
@settings(max_examples=EXAMPLES)
def test_tables(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    from ssliqa_bench.evaluation.inputs import read_score_table
    from ssliqa_bench.tabular import read_rows

    place = tmp_path_factory.getbasetemp() / "table.csv"
    refused_or_read(read_rows, place, data)
    refused_or_read(lambda path: read_score_table(path, ""), place, data)


@given(YAML)
@settings(max_examples=EXAMPLES)
def test_registries(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    from ssliqa_bench.registry.yamlfile import read_yaml

    refused_or_read(read_yaml, tmp_path_factory.getbasetemp() / "registry.yaml", data)


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP"]))
@settings(max_examples=EXAMPLES)
def test_images(tmp_path_factory: pytest.TempPathFactory, place: int, change: bytes, form: str) -> None:
    from ssliqa_bench.pixels.decode import decode

    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((24, 24)).convert("RGB").save(buffer, form)
    data = bytearray(buffer.getvalue())
    start = place % len(data)
    data[start : start + len(change)] = change
    refused_or_read(decode, tmp_path_factory.getbasetemp() / f"image.{form.lower()}", bytes(data))


@pytest.fixture(scope="module")
def tables(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    from ssliqa_bench.datasets.base import load_table
    from ssliqa_bench.registry.load import load_registry

    known = load_registry([tiny_pair / "registry.yaml"])
    return [load_table(known.dataset("tiny-a"), tiny_pair, tmp_path_factory.getbasetemp(), load=known.load)]


_NAMES, _PARTS = st.sampled_from(["00.png", "01.png", "zz.png", ""]), st.sampled_from(["train", "test", "x", ""])
_ROWS = st.lists(st.tuples(_NAMES, _PARTS))
SPLITS = st.one_of(TABLES, _ROWS.map(lambda rows: "\n".join(["image,split", *map(",".join, rows)]).encode()))


@given(SPLITS)
@settings(max_examples=EXAMPLES)
def test_splits(tmp_path_factory: pytest.TempPathFactory, tables: list[object], data: bytes) -> None:
    from ssliqa_bench.datasets.split_files import read_lists

    def read(path: Path) -> object:
        return read_lists(path, {}, tables)  # type: ignore[arg-type]

    refused_or_read(read, tmp_path_factory.getbasetemp() / "lists.csv", data)
