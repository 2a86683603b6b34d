"""Pretrained weights, found before any data is read: a local file, the local cache, one short probe, a message.

Where a file is published says the registry (for the backbones and metrics that it names: an address, or a Python
package that has it), else the library that publishes it. What a library said is kept, so that a finished run is
answered without importing torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from ssliqa_bench.caches import keep
from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.files import atomic_path, digest, read_sealed, sha256_file
from ssliqa_bench.models.packages import packaged_file
from ssliqa_bench.models.weight_cache import kept_or_made
from ssliqa_bench.paths import file_to_read
from ssliqa_bench.registry.lookup import ResolvedBackbone, ResolvedMethod, load_object, locate_module

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import WeightsFacts

_HUB = "huggingface.co"
_HASH = re.compile(r"-([0-9a-f]{8})\.pth$")
_KIND = "published-weights"


@dataclass(frozen=True)
class WeightsFile:
    """A file of pretrained weights.

    Attributes:
        path: None where only its hash is known (from a record).
        convert: the function "module:name" that gives its tensors the network's names; None where they have them.
        converted: where the file that `convert` makes of it is kept; "" without `convert`.
    """

    path: str | None
    sha256: str
    convert: str | None = None
    converted: str = ""


@dataclass(frozen=True)
class Published:
    """A published file.

    Attributes:
        what: whose weights they are, for messages.
        address: of the file.
        folder: where its library looks for it on this machine; "" for the cache of the Hugging Face hub.
        file: its name there.
        option: the parameter that names a local file instead, for messages.
        switch: the parameter that asks for random weights where it is false, for messages.
        of_network: of a network that could also start from random weights.
    """

    what: str
    address: str
    folder: str
    file: str
    option: str = "weights_file"
    switch: str = "pretrained"
    of_network: bool = True

    @property
    def repository(self) -> str:
        """On the Hugging Face hub: "owner/name"."""
        return "/".join(urlparse(self.address).path.split("/")[1:3])

    def local(self) -> Path | None:
        """The file on this machine, if it is there."""
        if self.folder:
            path = Path(self.folder) / self.file
            return path if path.is_file() else None
        from huggingface_hub import try_to_load_from_cache

        found = (try_to_load_from_cache(self.repository, name) for name in (self.file, "pytorch_model.bin"))
        return next((Path(path) for path in found if isinstance(path, str)), None)

    def fetch(self) -> Path:
        """Download the file to where its library looks for it.

        Raises:
            InputError: the network, or the file, cannot be reached; names the ways out.
        """
        from ssliqa_bench.net import probe  # brings Python's HTTP client, which a run from the store needs not

        try:
            hub = os.environ.get("HF_ENDPOINT")
            probe(hub if hub and not self.folder else self.address)
            if not self.folder:
                from huggingface_hub import hf_hub_download

                return Path(hf_hub_download(self.repository, self.file))
            from torch.hub import download_url_to_file

            path = Path(self.folder) / self.file
            with atomic_path(path) as part:
                stated = _HASH.search(self.file)  # libraries of torch put the beginning of the SHA-256 into names
                download_url_to_file(self.address, str(part), stated[1] if stated else None, progress=True)
            return path
        except Exception as error:  # every library of the network raises its own kinds
            place = f"at: {Path(self.folder) / self.file}, or " if self.folder else ""
            random = f" For random initial weights, say so: --set {self.switch}=false." if self.of_network else ""
            raise InputError(
                f"Pretrained weights of {self.what} are not on this machine, and {self.address} cannot be fetched "
                f"({error}). Fetch that file elsewhere and put it {place}anywhere and name it with --set "
                f"{self.option}=FILE.{random}"
            ) from error


def resolve_weights(
    backbone: ResolvedBackbone,
    params: Mapping[str, Any],
    cache_root: Path,
    option: str = "weights_file",
    switch: str = "pretrained",
    *,
    download: bool = True,
) -> WeightsFile | None:
    """The weights that a backbone starts from; None where random values were asked for.

    Args:
        params: of the method.
        option: which of them names a local file to be taken instead of the published or packaged ones ("sha256:…" as
            a record states it: known by its hash alone).
        switch: which of them is false for random values.
        download: whether a file that is not on this machine is fetched.

    Raises:
        InputError: the file is missing; the message names it, its address and where to put it. Or a file is named
            that random values would leave unread.
    """
    given = given_weights(params, cache_root, option)
    if not params.get(switch):
        if given is not None:
            raise InputError(
                f"--set {option}={params[option]}: the file would not be read, since {switch} is false. Add "
                f"--set {switch}=true, or leave the file out."
            )
        return None
    if given is not None:
        return given
    if backbone.weights is not None and backbone.weights.package is not None:
        return packaged_weights(backbone, cache_root, option, switch)
    return _found(published_weights(backbone, cache_root, option, switch), cache_root, download)


def backbone_weights(
    method: ResolvedMethod, param: str, backbone: ResolvedBackbone, cache_root: Path, *, download: bool = True
) -> WeightsFile | None:
    """As `resolve_weights`, for the backbone that a parameter of a method names; None where no parameter of the
    method chooses its weights."""
    chosen = method.weights_params.get(param)
    if chosen is None:
        return None
    return resolve_weights(backbone, method.params, cache_root, chosen.file, chosen.switch, download=download)


def own_weights(method: ResolvedMethod, cache_root: Path, *, download: bool = True) -> WeightsFile | None:
    """The parameter file of a method that comes with one, or is given one, and is no network's.

    Raises:
        InputError: the file is missing.
    """
    if method.weights is not None:
        option = method.own_file or "weights_file"
        return resolve_method_weights(
            method.name, method.weights, method.params, cache_root, option, download=download
        )
    return None if method.own_file is None else given_weights(method.params, cache_root, method.own_file)


def resolve_method_weights(
    method: str,
    facts: WeightsFacts,
    params: Mapping[str, Any],
    cache_root: Path,
    option: str = "weights_file",
    *,
    download: bool = True,
) -> WeightsFile:
    """The parameter file of a metric, as `resolve_weights`."""
    source = str(facts.source)
    file = facts.file or Path(urlparse(source).path).name
    folder = str(torch_hub() / "pyiqa")
    published = Published(f'method "{method}"', source, folder, file, option, of_network=False)
    given = given_weights(params, cache_root, option)
    if given is not None and given.path is None and (path := published.local()) is not None:
        ours = WeightsFile(str(path), _sha256(path, cache_root))  # a record knows its file by the hash alone
        return ours if ours.sha256 == given.sha256 else given
    return given or _found(published, cache_root, download)


def published_weights(
    backbone: ResolvedBackbone, cache_root: Path, option: str = "weights_file", switch: str = "pretrained"
) -> Published:
    """Where the weights of a backbone are published: as its registry entry says, else as its library does.

    Args:
        option, switch: the parameters by which a local file could be named instead, and random weights asked for, for
            messages.

    Raises:
        InputError: nowhere.
    """
    what = f"backbone {backbone.weights_of or backbone.name}"
    if backbone.weights is not None:
        return replace(_from_facts(what, backbone.weights, option), switch=switch)
    library, _, model = (backbone.weights_of or backbone.name).partition(":")
    if library not in _LIBRARIES:
        raise InputError(
            f'Backbone "{backbone.name}" has no published weights: use --set {switch}=false for random '
            f"initial weights, or --set {option}=FILE."
        )
    kept = cache_root / "weights" / f"{digest(backbone.weights_of or backbone.name)[:32]}.json"
    try:
        return replace(Published(**read_sealed(kept, kind=_KIND)), option=option, switch=switch)
    except (FileNotFoundError, CorruptFileError, TypeError):
        found = _LIBRARIES[library](what, model, option)
        keep(kept, asdict(found), kind=_KIND)
        return replace(found, switch=switch)


def packaged_weights(
    backbone: ResolvedBackbone, cache_root: Path, option: str = "weights_file", switch: str = "pretrained"
) -> WeightsFile:
    """The weights of a backbone whose entry names a Python package, without importing torch or the package.

    Raises:
        InputError: the package is not installed, or has another file; `convert` names no module.
    """
    facts = backbone.weights
    assert facts is not None
    ways_out = f"Or name a file with --set {option}=FILE; for random initial weights: --set {switch}=false."
    path = packaged_file(backbone.name, facts, ways_out, _hash_cache(cache_root))
    converted = ""
    if facts.convert is not None:
        module = locate_module(facts.convert.partition(":")[0])
        if module is None:
            raise InputError(f'Backbone "{backbone.name}": convert names {facts.convert}, and there is no such module.')
        made_by = digest([facts.sha256, facts.convert, sha256_file(module)])[:32]
        converted = str(cache_root / "weights" / f"{made_by}.safetensors")
    return WeightsFile(str(path), str(facts.sha256), facts.convert, converted)


def usable_file(weights: WeightsFile) -> str:
    """Path of a weights file whose tensors have the network's names; it is made where the published one needs that.

    Raises:
        InputError: only the hash of the file is known, or it cannot be read or converted.
    """
    if weights.path is None:
        raise InputError(
            f"The weights file with SHA-256 {weights.sha256} is needed: name it with --set weights_file=FILE."
        )
    if weights.convert is None:
        return weights.path
    kept_or_made(Path(weights.converted), partial(_convert, weights))
    return weights.converted


def _convert(weights: WeightsFile, place: Path) -> None:
    from safetensors.torch import save_file

    from ssliqa_bench.training.backbones.weights import read_tensors

    renamed = load_object(str(weights.convert))(read_tensors(Path(str(weights.path))))
    with atomic_path(place) as part:
        save_file({name: value.contiguous() for name, value in renamed.items()}, part)


def torch_hub() -> Path:
    """The folder in which torch and pyiqa keep what they download, found out without importing torch."""
    home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return Path(home).expanduser() / "hub"


def given_weights(params: Mapping[str, Any], cache_root: Path, option: str = "weights_file") -> WeightsFile | None:
    """The local weights file that a parameter names, "sha256:…" as a record states it; None where it names none.

    Raises:
        InputError: there is no such file, or it is none of weights.
    """
    given = params.get(option)
    if given is None:
        return None
    if str(given).startswith("sha256:"):
        return WeightsFile(None, str(given).removeprefix("sha256:"))
    path = file_to_read(Path(str(given)).expanduser().absolute(), "a file of weights", f"--set {option}")
    _check_kind(path, option)
    return WeightsFile(str(path), _sha256(path, cache_root))


def _check_kind(path: Path, option: str) -> None:
    """Refuse what cannot be a weights file by its first bytes, before any data is read.

    Raises:
        InputError: neither safetensors, a PyTorch file, nor a MATLAB file (of a metric's parameters).
    """
    with open(path, "rb") as handle:
        start = handle.read(9)
    pickled = start[:1] == b"\x80" or start[:2] == b"PK"  # torch.save, the old way and the zipped one
    matlab = start[:6] == b"MATLAB"
    sealed = path.suffix == ".safetensors" and start[8:9] == b"{"
    if not (pickled or matlab or sealed):
        raise InputError(f"--set {option}={path}: is not a file of weights (safetensors, .pth or .mat).")


def _found(published: Published, cache_root: Path, download: bool) -> WeightsFile:
    path = published.local()
    if path is None and not download:
        raise InputError(
            f"Pretrained weights of {published.what} are not on this machine; a run fetches them from "
            f"{published.address}."
        )
    path = path or published.fetch()
    return WeightsFile(str(path), _sha256(path, cache_root))


def _sha256(path: Path, cache_root: Path) -> str:
    return file_hashes([str(path)], cache=_hash_cache(cache_root))[str(path)]


def _hash_cache(cache_root: Path) -> Path:
    return Path(cache_root) / "hashes" / "weights.json"


def _from_facts(what: str, facts: WeightsFacts, option: str) -> Published:
    address = urlparse(str(facts.source))
    if address.hostname == _HUB:
        file = facts.file or "model.safetensors"
        repository = "/".join(address.path.split("/")[1:3])
        return Published(what, f"https://{_HUB}/{repository}/resolve/main/{file}", "", file, option)
    file = facts.file or Path(address.path).name
    return Published(what, str(facts.source), str(torch_hub() / "checkpoints"), file, option)


def _of_timm(what: str, model: str, option: str) -> Published:
    import timm
    from timm.models import get_pretrained_cfg

    settings = get_pretrained_cfg(model) if timm.is_model(model) else None
    repository = getattr(settings, "hf_hub_id", None)
    if repository is None:
        raise InputError(
            f"timm publishes no weights for {what}. Use --set {option}=FILE, or --set pretrained=false for "
            f"random initial weights."
        )
    if repository.endswith("/"):
        repository += model
    file = getattr(settings, "hf_hub_filename", None) or "model.safetensors"
    return Published(what, f"https://{_HUB}/{repository}/resolve/main/{file}", "", file, option)


def _of_torchvision(what: str, model: str, option: str) -> Published:
    from torchvision import models

    name, _, tag = model.partition(".")
    try:
        published = models.get_model_weights(name)
    except ValueError as error:
        raise InputError(f"torchvision does not know {what}.") from error
    if tag and tag not in published.__members__:
        raise InputError(
            f"torchvision publishes no weights {tag} for {name}; expected one of {', '.join(published.__members__)}."
        )
    address = (published[tag] if tag else published.DEFAULT).url
    return Published(what, address, str(torch_hub() / "checkpoints"), Path(urlparse(address).path).name, option)


_LIBRARIES = {"timm": _of_timm, "torchvision": _of_torchvision}
