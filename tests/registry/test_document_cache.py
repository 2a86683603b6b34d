"""The packaged registry is parsed once: what is kept of it equals the file, and is not used where it may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ssliqa_bench.errors import RegistryError
from ssliqa_bench.registry import yamlfile
from ssliqa_bench.registry.document import Document
from ssliqa_bench.registry.document_cache import read_kept
from ssliqa_bench.registry.load import data_folder
from ssliqa_bench.registry.yamlfile import read_yaml

Parsed = list[str]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, empty."""
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    """Files that were parsed."""
    seen: Parsed = []
    read: Callable[..., Document] = yamlfile.read_yaml

    def watched(path: Path, shown_as: str | None = None) -> Document:
        seen.append(path.name)
        return read(path, shown_as)

    monkeypatch.setattr(yamlfile, "read_yaml", watched)
    return seen


def test_what_is_kept_of_the_packaged_registry_equals_the_file(cache: Path, parsed: Parsed) -> None:
    file = data_folder() / "registry.yaml"
    read = read_yaml(file, "registry.yaml")
    assert read_kept(file, "registry.yaml") == read and len(parsed) == 1
    kept = read_kept(file, "registry.yaml")
    assert kept == read and len(parsed) == 1
    assert list(kept.lines) == list(read.lines)


def test_a_changed_file_is_parsed_again(cache: Path, tmp_path: Path, parsed: Parsed) -> None:
    file = tmp_path / "mine.yaml"
    for text in ("a: 1\n", "a: 2\n", "a: 1\n"):
        file.write_text(text)
        assert read_kept(file, "mine") == read_yaml(file, "mine")
        assert read_kept(file, "mine") == read_yaml(file, "mine")
    assert len(parsed) == 3


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:-1], lambda data: data.replace(b"koniq", b"konik", 1),
    lambda data: b"0" * 64 + data[64:], lambda data: data.partition(b"\n")[0] + b"\n{}",
])  # fmt: skip
def test_a_damaged_copy_counts_as_absent(
    cache: Path, parsed: Parsed, damage: Callable[[bytes], bytes]
) -> None:
    file = data_folder() / "registry.yaml"
    first = read_kept(file, "registry.yaml")
    (kept,) = cache.rglob("*.json")
    kept.write_bytes(damage(kept.read_bytes()))
    assert read_kept(file, "registry.yaml") == first and len(parsed) == 2
    assert read_kept(file, "registry.yaml") == first and len(parsed) == 2, "it is written anew"


def test_a_cache_that_cannot_be_written_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed: Parsed, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "file"))
    file = data_folder() / "registry.yaml"
    assert read_kept(file, "registry.yaml") == read_kept(file, "registry.yaml")
    assert len(parsed) == 2 and not caplog.text


def test_problems_are_reported_each_time_and_never_kept(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a: 1\na: 2\n")
    assert read_kept(file, "mine.yaml").problems == read_kept(file, "mine.yaml").problems != []
    file.write_text("a: [1\n")
    for _ in range(2):
        with pytest.raises(RegistryError, match=r"^mine\.yaml:2: not readable as YAML"):
            read_kept(file, "mine.yaml")
    with pytest.raises(RegistryError, match="no such file"):
        read_kept(tmp_path / "absent.yaml", "absent.yaml")
    assert not list(cache.rglob("*.json"))
