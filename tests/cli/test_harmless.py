"""What comes from outside stays harmless: other encodings, control characters in names, classes that end a process."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from ssliqa_bench.cli.app import main

TABLE = "score,prediction\n" + "".join(f"{k},{k * k % 7}\n" for k in range(12))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(TABLE)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("words", [
    ("evaluate", "good.csv", "--bootstrap", "10"),
    ("evaluate", "naïve “file” €.csv", "--bootstrap", "0"),
    ("evaluate", "absent – …csv"),
    ("list", "datasets"),
    ("show", "livec"),
    ("show", "ssiqa", "--params"),
    ("run", "--help"),
])  # fmt: skip
def test_a_terminal_of_any_encoding_and_width_gets_its_answer(
    words: tuple[str, ...], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy("good.csv", "naïve “file” €.csv")
    monkeypatch.setenv("COLUMNS", "40")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    code = main(list(words))
    for stream in (out, err):
        stream.flush()
    said = err.buffer.getvalue().decode(encoding)
    assert code == (2 if "absent" in words[1] else 0), said
    assert "Traceback" not in said and "unexpected" not in said
    assert out.buffer.getvalue() or code


@pytest.mark.parametrize("name", ["red\x1b[31m.csv", "bell\x07.csv", "title\x1b]0;owned\x07.csv", "turned\u202e.csv",
                                  "line\nbreak.csv", "[bold]x.csv", "[red].csv"])  # fmt: skip
def test_names_steer_no_terminal_and_are_printed_whole(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("good.csv", name)
    assert main(["evaluate", name, "--bootstrap", "0"]) == 0
    assert main(["evaluate", f"no {name}"]) == 2
    assert main(["evaluate", name, "--group", name]) == 2
    out, err = capsys.readouterr()
    for sign in ("\x1b", "\x07", "\u202e"):
        assert sign not in out + err
    if name.startswith("["):
        assert name in out


@pytest.mark.parametrize(("code", "expected"), [
    ("import sys; sys.exit(0)", 2), ("import sys; sys.exit('bye')", 2), ("raise KeyboardInterrupt", 130),
    ("raise GeneratorExit", 1), ("raise OSError('x')", 2), ("1 / 0", 2), ("class X: pass; def", 2),
])  # fmt: skip
def test_a_class_that_ends_the_process_ends_no_command_with_0(
    tmp_path: Path, tiny_pair: Path, code: str, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_class.py").write_text(f"{code}\n")
    (tmp_path / "r.yaml").write_text(
        "methods:\n  mine:\n    about: {title: M, family: x, citation: c}\n    class: own_class:X\n"
    )
    ended = main(["run", "--method", "mine", "--pair", "tiny-a", "--store", "s", "--registry", "r.yaml",
                  "--registry", str(tiny_pair / "registry.yaml")])  # fmt: skip
    said = capsys.readouterr().err
    assert ended == expected, said
    assert "own_class" in said and "Traceback" not in said
    assert said.count("its code is run") <= 1 and not list(tmp_path.glob("s/records/*"))


@pytest.mark.parametrize("method", ["supervised", "ssiqa", "fixmatch"])
@pytest.mark.parametrize("pretrained", ["true", "false"])
def test_a_weights_file_that_is_not_there_is_never_ignored(
    tiny_pair: Path, method: str, pretrained: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = main(["run", "--method", method, "--pair", "tiny-a:tiny-b", "--registry", str(tiny_pair / "registry.yaml"),
                  "--store", "s", "--set", f"pretrained={pretrained}", "--set", "weights_file=none.pth"])  # fmt: skip
    assert ended == 2 and "weights_file" in (said := capsys.readouterr().err) and "Traceback" not in said


@pytest.mark.parametrize("words", [
    ("score", "photos", "--model", "contrast", "--registry", "REGISTRY", "--max-pixels", "5000"),
    ("label", "photos", "--model", "contrast", "--registry", "REGISTRY", "--max-pixels", "5000", "--out", "out",
     "--jobs", "1"),
    ("data", "add", "mine", "--unlabeled", "photos", "--max-pixels", "5000", "--jobs", "1"),
])  # fmt: skip
def test_an_image_beyond_the_limit_is_named_with_the_limit_and_the_way_out(
    tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    registry = str(Path(__file__).parents[2] / "docs" / "examples" / "contrast.yaml")
    (tmp_path / "photos").mkdir()
    Image.new("L", (60, 60), 90).save(tmp_path / "photos" / "small.png")
    Image.new("L", (100, 70), 90).save(tmp_path / "photos" / "large.png")
    assert main([registry if word == "REGISTRY" else word for word in words]) in (1, 2)
    said = capsys.readouterr().err
    if words[0] == "label":
        from pyarrow import parquet

        said += str(parquet.read_table(tmp_path / "out" / "bad" / "part-00000.parquet").to_pylist())
    assert "large.png" in said and "100×70 pixels" in said and "--max-pixels 7000" in said
