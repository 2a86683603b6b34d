"""Weights that other libraries fetch while they build a network: one short probe of the network, then a clear message.

Left to themselves these libraries retry for a minute without a network, and end in errors of their own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import torch.hub
from huggingface_hub import constants as hub

from ssliqa_bench.errors import InputError
from ssliqa_bench.net import probe

_HUB = "https://huggingface.co"
# torch reads them at every load.
_FORCE, _FORCE_NOT = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


class _Unreachable(Exception):
    """A file has to be fetched, and its host does not answer; `place`: where its library looks for it."""

    def __init__(self, address: str, reason: object, place: str = "") -> None:
        super().__init__(f"{address} cannot be fetched ({reason})")
        self.place = place


@contextlib.contextmanager
def probed_downloads(what: str, *modules: Any) -> Iterator[None]:
    """While it holds, what fetches files through torch, the Hugging Face hub or urllib asks first whether they answer.

    Args:
        what: whose weights are fetched, for the message.
        modules: further modules that have taken over torch's function `download_url_to_file` under that name.

    Raises:
        InputError: a file is neither on this machine nor to be had; names it, its address and where to put it.
    """
    places = [(module, "download_url_to_file", _to_file) for module in (torch.hub, *modules)]
    places += [(urllib.request, "urlopen", _open), (hub, "is_offline_mode", _offline)]  # type: ignore[list-item]
    with contextlib.ExitStack() as stack:
        for module, name, wrap in places:
            known = getattr(module, name)
            stack.callback(setattr, module, name, known)
            setattr(module, name, wrap(known))
        try:
            yield
        except Exception as error:
            cause = _cause(error)
            if cause is None:
                raise
            put = f", or fetch that file elsewhere and put it at {cause.place}" if cause.place else ""
            raise InputError(
                f"Weights of {what} are not on this machine, and {cause}. Run it once where there is a network and "
                f"copy the caches of torch and Hugging Face from there{put}."
            ) from error


@contextlib.contextmanager
def tensors_only() -> Iterator[None]:
    """While it holds, `torch.load` takes tensors, numbers, text and containers of these, whatever its caller asks for.

    A pickle can run code when it is opened, and libraries open the files of weights that they are given.
    """
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORCE_NOT)}
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _to_file(download: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(download)
    def probed(url: str, dst: str, *options: Any, **named: Any) -> Any:
        _check(url, dst)
        return download(url, dst, *options, **named)

    return probed


def _open(urlopen: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(urlopen)
    def probed(url: Any, *options: Any, **named: Any) -> Any:
        _check(url if isinstance(url, str) else url.full_url)
        return urlopen(url, *options, **named)

    return probed


def _offline(is_offline_mode: Callable[[], bool]) -> Callable[[], bool]:
    """The hub's own question before each request; an answer lasts as long as the wrapper, a bad one too."""
    answers: list[_Unreachable | None] = []

    @functools.wraps(is_offline_mode)
    def probed() -> bool:
        if not answers and not is_offline_mode():
            try:
                _check(_HUB)
                answers.append(None)
            except _Unreachable as error:
                answers.append(error)
        if answers and answers[0] is not None:
            raise answers[0]
        return is_offline_mode()

    return probed


def _check(address: str, place: str = "") -> None:
    try:
        probe(address)
    except OSError as error:
        raise _Unreachable(address, error, place) from error


def _cause(error: BaseException | None) -> _Unreachable | None:
    """The missing file behind an error, whatever libraries made of it on the way."""
    while error is not None and not isinstance(error, _Unreachable):
        error = error.__cause__ or error.__context__
    return error
