"""A page of thumbnails: the best, the worst and the most uncertain images of a scored folder, in one HTML file."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ssliqa_bench.errors import DataError
from ssliqa_bench.files import write_bytes
from ssliqa_bench.photos.scoring import Scored
from ssliqa_bench.photos.thumbnails import SIDE, thumbnail
from ssliqa_bench.types import FloatArray

SHOWN = 12  # images of each kind
_BINS = 20
_STYLE = f"""
:root {{ color-scheme: light dark; }} body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }}
main {{ max-width: 70rem; margin: auto; }} .grid {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
figure {{ margin: 0; width: {SIDE}px; }} img {{ max-width: {SIDE}px; max-height: {SIDE}px; }}
figcaption {{ overflow-wrap: anywhere; font-size: 13px; }} svg {{ width: 100%; max-width: 40rem; height: 6rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .1rem .8rem .1rem 0; text-align: left; }}
"""


def write_report(
    path: Path,
    rows: Iterable[Scored],
    models: Sequence[str],
    units: Sequence[str],
    lower_is_better: Sequence[bool],
) -> None:
    """Write the page; only the images that it shows are decoded.

    Args:
        rows: images as scored; bad ones are counted and listed.
        models: name of each model.
        units: what the values of each model are, as words.
        lower_is_better: for each model, whether a lower value means better quality.

    Raises:
        StorageError: it cannot be written.
    """
    rows = list(rows)
    parts = [f"<p>{len(rows):,} images.</p>"]
    for number, (name, unit, lower) in enumerate(zip(models, units, lower_is_better, strict=True)):
        parts += _of_model(rows, number, name, unit, lower)
    bad = [(row.image, model, reason) for row in rows for model, reason in row.problems]
    if bad:
        parts.append(f"<h2>Without a score: {len(bad)}</h2><table><tr><th>image<th>model<th>reason</tr>")
        parts += [f"<tr>{''.join(f'<td>{_text(cell)}' for cell in line)}</tr>" for line in bad[: 10 * SHOWN]]
        parts.append("</table>" + ("<p>… and more.</p>" if len(bad) > 10 * SHOWN else ""))
    page = (f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>Scores of images</title><style>{_STYLE}</style><main><h1>Scores of images</h1>"
            f"{''.join(parts)}</main></html>\n")  # fmt: skip
    write_bytes(path, page.encode())


def _of_model(rows: Sequence[Scored], number: int, name: str, unit: str, lower: bool) -> list[str]:
    """The sections of one model."""
    known = [row for row in rows if not math.isnan(row.scores[number].value)]
    parts = [f"<h2>{_text(name)}</h2><p>{_text(unit)}</p>"]
    if not known:
        return [*parts, "<p>No image has a score.</p>"]
    values = np.array([row.scores[number].value for row in known])
    parts.append(f"<p>Mean {values.mean():.4g}, from {values.min():.4g} to {values.max():.4g}.</p>{_histogram(values)}")
    order = np.argsort(values if lower else -values, kind="stable")
    parts += _grid("Best", [known[k] for k in order[:SHOWN]], number)
    parts += _grid("Worst", [known[k] for k in order[::-1][:SHOWN]], number)
    spreads = np.array([row.scores[number].spread for row in known])
    if np.isfinite(spreads).any():
        uncertain = np.argsort(-np.nan_to_num(spreads, nan=-1.0), kind="stable")
        parts += _grid("Most uncertain: crops differ most", [known[k] for k in uncertain[:SHOWN]], number)
    return parts


def _grid(title: str, rows: Sequence[Scored], number: int) -> list[str]:
    figures = []
    for row in rows:
        score = row.scores[number]
        spread = "" if math.isnan(score.spread) else f" ± {score.spread:.3g}"
        picture = _thumbnail(row.image)
        shown = f'<img src="{picture}" alt="{_text(Path(row.image).name)}">' if picture else "<p>not readable</p>"
        figures.append(f"<figure>{shown}<figcaption><b>{score.value:.4g}{spread}</b> {_text(row.image)}</figcaption>"
                       f"</figure>")  # fmt: skip
    return [f'<h3>{title}</h3><div class="grid">', *figures, "</div>"]


def _thumbnail(path: str) -> str:
    """A small JPEG as a data address; "" of a file that is no longer readable."""
    try:
        return "data:image/jpeg;base64," + base64.b64encode(thumbnail(path)).decode()
    except DataError:
        return ""


def _histogram(values: FloatArray) -> str:
    counts, edges = np.histogram(values, bins=_BINS)
    heights = 60 * counts / counts.max()
    bars = "".join(
        f'<rect x="{5 * k}" y="{60 - height:.1f}" width="4.5" height="{height:.1f}">'
        f"<title>{edges[k]:.4g} to {edges[k + 1]:.4g}: {counts[k]}</title></rect>"
        for k, height in enumerate(heights)
    )
    return (f'<svg viewBox="0 0 {5 * _BINS} 60" preserveAspectRatio="none" fill="currentColor" role="img" '
            f'aria-label="Histogram of the scores">{bars}</svg>')  # fmt: skip


def _text(text: str) -> str:
    return html.escape(text.encode(errors="replace").decode())
