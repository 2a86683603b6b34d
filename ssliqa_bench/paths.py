"""Paths that a user names, looked at before they are opened, so that no pipe or device is waited for or read on."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from ssliqa_bench.errors import InputError, near_names
from ssliqa_bench.text import RENAMING, is_utf8

_SHOWN = 80
# Names that are compared with a misspelled one; a folder may hold millions.
_COMPARED = 5000
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def file_to_read(path: Path | str, expected: str = "a file", option: str = "") -> Path:
    """The path of a regular file.

    Args:
        expected: what it has to be, for the message: "a CSV file".
        option: the option that names it, for the message.

    Raises:
        InputError: nothing is there (with near names), or a folder, a pipe, a device; not readable.
    """
    path = Path(path)
    found = _kind(path, expected, option)
    if found is None:
        raise InputError(f"{_where(path, option)}: {_absent(path)}; expected {expected}.{_near(path)}")
    if found != "a file":
        raise InputError(f"{_where(path, option)}: is {found}; expected {expected}.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{_where(path, option)}: may not be read (permission denied); expected {expected}.")
    return path


def folder_to_read(path: Path | str, expected: str = "a folder", option: str = "") -> Path:
    """The path of a folder.

    Raises:
        InputError: nothing is there (with near names), or something that is no folder; not readable.
    """
    path = Path(path)
    found = _kind(path, expected, option)
    _refuse_other_bytes(path, expected, option)
    if found is None:
        raise InputError(f"{_where(path, option)}: {_absent(path, 'folder')}; expected {expected}.{_near(path)}")
    if found != "a folder":
        raise InputError(f"{_where(path, option)}: is {found}; expected {expected}.")
    if not os.access(path, os.R_OK | os.X_OK):
        raise InputError(f"{_where(path, option)}: may not be read (permission denied); expected {expected}.")
    return path


def file_to_write(path: Path | str, expected: str = "a file", option: str = "") -> Path:
    """A path at which a file can be written: nothing is there or a regular file, and folders lead to it.

    Raises:
        InputError: a folder, a pipe, a device or a broken link is there, or there is a file where a folder is needed.
    """
    path = Path(path)
    found = _kind(path, expected, option)
    if found is None and path.is_symlink():
        raise InputError(f"{_where(path, option)}: {_absent(path)}; expected {expected}.")
    if found not in (None, "a file"):
        raise InputError(f"{_where(path, option)}: is {found}; expected {expected}.")
    return path


def folder_to_write(path: Path | str, expected: str = "a folder, made where there is none", option: str = "") -> Path:
    """A path at which a folder is or can be created.

    Raises:
        InputError: something else is there, or there is a file where one of its parent folders is needed.
    """
    path = Path(path)
    found = _kind(path, expected, option)
    if found is None and path.is_symlink():
        raise InputError(f"{_where(path, option)}: {_absent(path)}; expected {expected}.")
    _refuse_other_bytes(path, expected, option)
    if found not in (None, "a folder"):
        raise InputError(f"{_where(path, option)}: is {found}; expected {expected}.")
    return path


def _refuse_other_bytes(path: Path, expected: str, option: str) -> None:
    """Folders are named in files that hold text, and by libraries that open no other names."""
    if not is_utf8(str(path)):
        raise InputError(f"{_where(path, option)}: the path is not valid UTF-8; expected {expected}. {RENAMING}")


def shortened(path: Path | str) -> str:
    """A path for a message: the middle of a very long one is left out."""
    text = str(path)
    return text if len(text) <= 4 * _SHOWN else f"{text[:_SHOWN]}…{text[-_SHOWN // 2 :]}"


def _kind(path: Path, expected: str, option: str) -> str | None:
    """What is at a path, None for nothing."""
    where = _where(path, option)
    if "\0" in str(path):
        raise InputError(f"{where}: a path cannot contain a NUL character; expected {expected}.")
    if not str(path).strip():
        raise InputError(f"{where}: the path is empty; expected {expected}.")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        blocking = next((one for one in path.parents if os.path.exists(one) and not one.is_dir()), path.parent)
        raise InputError(f"{where}: {blocking} is not a folder, so nothing can lie below it; expected "
                         f"{expected}.") from error  # fmt: skip
    except OSError as error:
        raise InputError(f"{where}: {_reason(error, path)}; expected {expected}.") from error
    return next((name for test, name in _KINDS if test(mode)), "no file")


def _reason(error: OSError, path: Path) -> str:
    if error.errno == errno.ENAMETOOLONG:
        longest = max(len(os.fsencode(part)) for part in path.parts)
        return f"the name is too long ({longest} bytes in one part, {len(os.fsencode(path))} in all)"
    if error.errno == errno.ELOOP:
        return "its links lead in a circle"
    return f"cannot be looked at ({(error.strerror or str(error)).lower()})"


def _absent(path: Path, what: str = "file") -> str:
    if path.is_symlink():
        with contextlib.suppress(OSError):
            return f"is a link to {os.readlink(path)}, which does not exist"
    if not os.path.isdir(path.parent):
        return f"no such {what}, and its folder {shortened(path.parent)} does not exist either"
    return "is no folder; nothing of that name is there" if what == "folder" else "no such file"


def _near(path: Path) -> str:
    """The names in the same folder that look like the one that is not there, as a sentence."""
    there: list[str] = []
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry, _ in zip(entries, range(_COMPARED)):
            if entry.name != path.name:  # a link that leads nowhere has the very name
                there.append(entry.name)
    near = near_names(path.name, there)
    if not near and path.suffix:
        near = sorted(name for name in there if Path(name).suffix.lower() == path.suffix.lower())[:3]
        return f" In the same folder: {', '.join(near)}." if near else ""
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _where(path: Path, option: str) -> str:
    text = shortened(path) or '""'
    return f"{option}: {text}" if option else text
