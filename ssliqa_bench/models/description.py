"""What a finished model is, in JSON: how it is built and what its values mean. Records and model folders hold one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.types import Scale


@dataclass(frozen=True)
class Description:
    """A finished model, apart from the tensors that its last stage left.

    Attributes:
        builder: the function that builds it, as "module:function".
        params: the parameters that it declares, networks as {"class", "arguments"}.
        scale: of the scores that it learned from; None for a method that learned nothing, whose values are its own.
        short_side: to which the images of its labeled dataset were resized, in pixels; None for images as they are.
        references: whether it compares images with their pristine references.
        weights: files that it is built from and no stage left, by name, as `models.origins.described` gives them.
        features: the frozen network whose features it takes in place of pixels: name, class and arguments; its file
            of weights is "features".
    """

    builder: str
    params: Mapping[str, Any]
    scale: Scale | None = None
    short_side: int | None = None
    references: bool = False
    weights: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    features: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As an object of plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Any, where: str) -> Description:
        """Read what `to_json` gave.

        Args:
            where: the file, for messages.

        Raises:
            CorruptFileError: fields are missing, unknown or of another type.
        """
        known = {own.name for own in fields(cls)}
        if not isinstance(told, Mapping) or set(told) != known:
            raise CorruptFileError(f"{where}: does not describe a model; expected an object of {', '.join(known)}.")
        try:
            scale = None if told["scale"] is None else Scale(**told["scale"])
        except TypeError as error:
            raise CorruptFileError(f"{where}: scale: expected low, high and higher_is_better.") from error
        kinds = {"builder": str, "params": Mapping, "references": bool, "weights": Mapping}
        wrong = [name for name, kind in kinds.items() if not isinstance(told[name], kind)]
        if wrong:
            raise CorruptFileError(f"{where}: {wrong[0]}: got {told[wrong[0]]!r}; expected another type.")
        return cls(**{**told, "scale": scale})
