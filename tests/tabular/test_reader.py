"""The one reader of tables: rows read are the lines that hold data, or the file is refused with the line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import finite_number, read_names, read_rows
from ssliqa_bench.tabular.writer import csv_text, defused, sealed_csv

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of text or bytes."""

    def written(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


# ---- rows never vanish


@pytest.mark.parametrize(("lines", "line"), [
    # two stray marks with whole rows between them, in a column that nobody reads
    (['a.png,1,"5 inch', "b.png,2,plain", 'c.png,3,"7 inch'], 2),
    (['a.png,1,plain', 'b.png,2,"never closed', "c.png,3,plain"], 3),
    (['"a.png,1,x', "b.png,2,x", "c.png,3,x"], 2),
    (["a.png,1,x", 'b.png,"2,x'], 3),
    (["a.png,1,x", 'b.png,2,""" odd'], 3),
    (['a.png,1,"two', 'lines"', "b.png,2,x"], 2),
    (["", "a.png,1,x", "", 'b.png,2,"open'], 5),
])  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quote_that_is_not_closed_on_its_line_is_refused(write: Write, lines: list[str], line: int,
                                                           end: str) -> None:  # fmt: skip
    path = write(end.join(["image,score,note", *lines, ""]))
    with pytest.raises(DataError, match=rf"table\.csv:{line}: cell \d opens with a quote mark that is not closed"):
        read_rows(path)


def test_text_after_a_closing_quote_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r":3: text follows the quote mark that closes cell 3; expected a comma"):
        read_rows(write('image,score,note\na,1,"fine"\nb,2,"5" screen\n'))


@pytest.mark.parametrize(("content", "said"), [
    ("image,score\na.png\n", r":2: 1 cells; expected 2 \(image, score\)"),
    ("image,score\na.png,1\n\nb.png,2,3\n", r":4: 3 cells; expected 2"),
    ("image,score\na.png,3,5\n", r":2: 3 cells.*decimal comma\? Quote it"),
    ("image,score\na.png;3\n", r":2: 1 cells.*separated by a semicolon; expected a comma"),
    ("image,score\na,b.png,x\n", r"A cell that holds a comma has to be quoted"),
    ("image,score,image\na,1,a\n", r":1: column image occurs twice"),
    ("", "the file is empty"),
    ("\n \r\n", "the file is empty"),
    ("image,score\na\0.png,1\n", r":2: holds a NUL character"),
])  # fmt: skip
def test_rows_that_are_not_as_the_header(write: Write, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_rows(write(content))


def test_quoted_cells(write: Write) -> None:
    rows = read_rows(write('image, score ,note\n"a,b.png",1,"say ""x"""\n c.png , "2" ,5" screen\n"",3,\n'))
    assert rows.cells == (("a,b.png", "1", 'say "x"'), ("c.png", "2", '5" screen'), ("", "3", ""))
    assert rows.header == ("image", "score", "note") and rows.lines == (2, 3, 4)


cell = st.text(st.characters(blacklist_characters='"\r\n\0', blacklist_categories=("Cs",)), max_size=8)


@given(st.lists(st.tuples(cell, cell, cell), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_as_many_rows_as_lines_with_data(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]],
                                         end: str) -> None:  # fmt: skip
    """Against the csv module of Python, on files whose cells hold no quote mark and no line end."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([("x", "y", "z"), *rows])
    path = tmp_path_factory.mktemp("rows") / "table.csv"
    path.write_bytes(text.getvalue().encode())
    expected = [[c.strip() for c in row] for row in csv.reader(io.StringIO(text.getvalue(), newline=""))]
    read = read_rows(path)
    assert [list(row) for row in read.cells] == [row for row in expected[1:] if any(row)]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "table.csv"
    path.write_bytes(data)
    try:
        rows = read_rows(path, "")
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert all(len(row) == len(rows.header) for row in rows.cells)


@given(st.text(alphabet='a1,;"\n\r\t |.=#-', max_size=120))
def test_no_line_is_lost_whatever_the_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "table.csv"
    path.write_bytes(text.encode())
    try:
        rows = read_rows(path, ",")
    except DataError:
        return
    held = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip(', \t"')]
    assert len(rows) + (rows.header_line > 0) >= len(held)


# ---- what people's programs write


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_separators_and_encodings_are_recognised(write: Write, caplog: pytest.LogCaptureFixture, separator: str,
                                                 encoding: str) -> None:  # fmt: skip
    text = separator.join(["image", "score"]) + "\r\n" + separator.join(["ü b.png", "2.5"]) + "\r\n"
    rows = read_rows(write(text.encode(encoding)), "")
    assert rows.column("image") == ["ü b.png"] and rows.numbers("score").tolist() == [2.5]
    assert ("separated by" in caplog.text) == (separator != ",")


def test_a_stated_separator_is_taken(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    rows = read_rows(write("image;a,score;b\nx,1\n"), ",")
    assert rows.header == ("image;a", "score;b") and caplog.text == ""
    assert read_rows(write("sep=;\nimage;score\na,b;1\n"), "").column("image") == ["a,b"]
    for wrong in (";;", '"', "\n"):
        with pytest.raises(DataError, match="expected one character"):
            read_rows(write("a,b\n"), wrong)


@pytest.mark.parametrize(("cells", "values"), [
    (["3,5", "2", "-0,25"], [3.5, 2.0, -0.25]),
    ([",5", "1,5e2", "10"], [0.5, 150.0, 10.0]),
])  # fmt: skip
def test_decimal_commas_are_read_and_logged(write: Write, caplog: pytest.LogCaptureFixture, cells: list[str],
                                            values: list[float]) -> None:  # fmt: skip
    for text in ("x;score\n" + "".join(f"a;{c}\n" for c in cells), "x,score\n" + "".join(f'a,"{c}"\n' for c in cells)):
        caplog.clear()
        assert read_rows(write(text), "").numbers("score").tolist() == values
        assert "decimal commas in column score are read as points" in caplog.text
        caplog.clear()
        assert read_rows(write(text), "", decimal=",").numbers("score").tolist() == values
        assert "read as points" not in caplog.text
        with pytest.raises(DataError, match="expected a finite number"):
            read_rows(write(text), "", decimal=".").numbers("score")


@pytest.mark.parametrize("cells", [["3,5", "2.5"], ["1.000,5", "2,5"], ["3,5,1", "2"], ["3,x", "1,5"]])
def test_commas_that_may_mean_thousands_are_refused(write: Write, cells: list[str]) -> None:
    with pytest.raises(DataError, match=r'score is "3?1?[,.].*"; expected a finite number'):
        read_rows(write("x;score\n" + "".join(f"a;{c}\n" for c in cells)), "").numbers("score")


@pytest.mark.parametrize("text", [
    'x,score\na,"1,339"\nb,"1,412"\n', "x;score\na;1,339\nb;868\n", "x;score\na;868\nb;1,339,000\n",
])  # fmt: skip
def test_commas_before_three_digits_are_ambiguous(write: Write, text: str) -> None:
    with pytest.raises(DataError, match=r"table\.csv:[23]: score is \"1,339.*thousands|expected a finite number"):
        read_rows(write(text), "").numbers("score")
    if "000" not in text:
        assert read_rows(write(text), "", decimal=",").numbers("score")[0] in (1.339, 868.0)


def test_three_decimals_throughout_are_decimals_where_cells_are_not_separated_by_commas(write: Write) -> None:
    assert read_rows(write("x;score\na;3,125\nb;2,750\n"), "").numbers("score").tolist() == [3.125, 2.75]


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "1e999", "0x10", "١٢", "", "1 2", "--1", "1e", "."])
def test_what_is_no_number(text: str) -> None:
    assert finite_number(text) is None


@pytest.mark.parametrize("content", [
    [{"image": "a.png", "score": 1}, {"image": "b.png", "score": 2.50}],
    {"image": ["a.png", "b.png"], "score": [1, 2.50]},
    {"a.png": 1, "b.png": 2.50},
])  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_tables(write: Write, content: Any, encoding: str) -> None:
    rows = read_rows(write(json.dumps(content, indent=2).encode(encoding)), "")
    assert rows.column("image") == ["a.png", "b.png"] and rows.numbers("score").tolist() == [1.0, 2.5]


def test_one_json_object_per_line(write: Write) -> None:
    rows = read_rows(write('{"image": "a.png", "score": 1}\n\n{"image": "b.png", "score": 2, "by": null}\n'), "")
    assert rows.cells == (("a.png", "1", ""), ("b.png", "2", ""))


@pytest.mark.parametrize(("content", "said"), [
    ('{"a.png": 1, "a.png": 2}', 'the key "a.png" occurs twice'),
    ('[{"image": "a", "score": 1, "score": 2}]', 'the key "score" occurs twice'),
    ('{"image": ["a"], "score": [1, 2]}', r"the lists differ in length \(image 1, score 2\)"),
    ('[{"image": "a", "score": {"mean": 1}}]', "entry 1: score is a list or an object"),
    ("[1, 2]", "JSON of another shape"),
    ("[]", "the file is empty"),
    ('[{"image": "a"', "not readable as JSON"),
    ('{"image": "a"}\n{"image": \n', ":2: not readable as JSON"),
    ("[" * 5000, "nested too deeply|not readable"),
])  # fmt: skip
def test_json_of_another_shape(write: Write, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_rows(write(content), "")


def test_workbooks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "About"
    scores = book.create_sheet("Scores")
    for row in ([], ["image", "score", "note"], ["a.png", 1.5], [1600, 2, "x"], [], ["c.png", 3]):
        scores.append(row)
    book.create_sheet("More").append(["image"])
    path = tmp_path / "labels.xlsx"
    book.save(path)
    rows = read_rows(path, "")
    assert rows.column("image") == ["a.png", "1600", "c.png"] and rows.numbers("score").tolist() == [1.5, 2, 3]
    assert rows.lines == (3, 4, 6) and 'sheet "Scores" is read; others are left out: More' in caplog.text
    scores.append(["d.png", 1, 2, 3])
    book.save(path)
    with pytest.raises(DataError, match=r"Scores\]:7: 4 cells; expected 3"):
        read_rows(path, "")


@pytest.mark.parametrize(("start", "said"), [
    (b"PK\x03\x04junk", r"zip archive.*CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0" + bytes(600), r"\(\.xls\).*Save it as \.xlsx"),
    (b"\x1f\x8b\x08\x00", "gzip"),
    (b"%PDF-1.7", "PDF"),
    (b"\x89PNG\r\n\x1a\n", "is an image"),
    (b"\xff\xd8\xff\xe0", "is an image"),
    (b"PAR1\x00\x00", "not readable as Parquet"),
    (b"<!DOCTYPE html><html>", "is a web page"),
    (b"image,score\n\xe4.png,1\n", r":2: is not UTF-8 text \(byte 12\)\. Save the file as CSV in UTF-8"),
    (b"\xff\xfei\x00m\x00a", "is not UTF-16 text"),
])  # fmt: skip
def test_other_formats_are_named_with_the_next_step(write: Write, start: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_rows(write(start), "")


def test_damaged_workbooks(tmp_path: Path) -> None:
    path = tmp_path / "labels.xlsx"
    path.write_bytes(b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x80\xff")
    with pytest.raises(DataError, match="not readable as a workbook"):
        read_rows(path, "")


def test_a_header_that_is_data(write: Write) -> None:
    with pytest.raises(DataError, match='no column "image"; found a.png, 3.5. The first line holds data'):
        read_rows(write("a.png,3.5\nb.png,2\n"), "").column("image")


# ---- what we write can be read back

AWKWARD = ["a,b.png", 'say "x".png', "two\nlines.png", "carriage\rreturn.png", " blank .png", "=1+1.png", "#hash.png",
           "ü\x1b[31m.png", ";.png", "'.png", "-1", "\ttab", ""]  # fmt: skip


def test_awkward_names_come_back(write: Write) -> None:
    text = csv_text([(name, k) for k, name in enumerate(AWKWARD)])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[name, str(k)] for k, name in enumerate(AWKWARD)]
    for written in (sealed_csv([(name, k) for k, name in enumerate(AWKWARD)], ("image", "split")),
                    csv_text([(name, k) for k, name in enumerate(AWKWARD)], ("image", "split"))):  # fmt: skip
        rows = read_rows(write(written), "", line_breaks_among=("image", "split"))
        assert rows.column("image") == AWKWARD
    with pytest.raises(DataError, match=r"table\.csv:4: cell 1 opens with a quote mark"):
        read_rows(write(csv_text([(name, "x") for name in AWKWARD], ("image", "note"))))


any_cell = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=6)


@given(st.lists(any_cell, min_size=1))
def test_any_cells_come_back(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    path = tmp_path_factory.mktemp("cells") / "table.csv"
    path.write_bytes(sealed_csv([(cell, "x") for cell in cells], ("image", "split")).encode())
    assert read_rows(path).column("image") == cells


def test_every_flip_below_a_checksum_is_found(write: Write) -> None:
    text = sealed_csv([(f"im{k}.png", "train" if k % 2 else "test") for k in range(4)], ("image", "split")).encode()
    before = read_rows(write(text)).cells
    for at in range(len(text)):
        for bit in range(8):
            flipped = bytearray(text)
            flipped[at] ^= 1 << bit
            try:
                assert read_rows(write(bytes(flipped))).cells == before
            except DataError:
                pass


@pytest.mark.parametrize(("cell", "safe"), [
    ("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("+cmd", "'+cmd"), ("@x", "'@x"), ("-x", "'-x"), ("\t=1", "'\t=1"),
    ("-0.5", "-0.5"), ("+2e-3", "+2e-3"), ("plain", "plain"), ("a=b", "a=b"), ("", ""),
])  # fmt: skip
def test_formulas_are_defused_and_numbers_are_not(cell: str, safe: str) -> None:
    assert defused(cell) == safe


def test_lists_of_names(write: Write) -> None:
    assert read_names(write("\ufeffa.png\r\n\n b, c.png \rd.png")) == [(1, "a.png"), (3, "b, c.png"), (4, "d.png")]
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_names(write(b"\xffa"))


def test_half_a_character_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"entry 1: image holds half a character \(\\udce9\.png\)"):
        read_rows(write('[{"image": "\\udce9.png", "score": 1}]'), "")
