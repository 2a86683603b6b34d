"""The page on which photographs are rated: on this machine alone, one image at a time, keys 1 to 5.

It listens on the loopback address. Every request needs the token of the address that was printed; a foreign `Host` (a
name that was made to point here) or `Origin` (a page of somebody else) is refused. Images are asked for by number, so
that no request names a path. An overview shows all of them as thumbnails.
"""

from __future__ import annotations

import hmac
import html
import io
import json
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from ssliqa_bench.errors import DataError, SsliqaError
from ssliqa_bench.photos.ratings import LEVELS, Ratings
from ssliqa_bench.photos.thumbnails import thumbnail
from ssliqa_bench.pixels.decode import open_picture

LOOPBACK = "127.0.0.1"
_LARGEST = 4096  # bytes of an answer
_AS_IT_IS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))  # how such files begin
_WORDS = ("bad", "poor", "fair", "good", "excellent")
_PAGE = Path(__file__).parent / "rating_page.html"


class RatingServer(ThreadingHTTPServer):
    """Serves the page for one rater.

    Args:
        ratings: the answers so far.
        paths: the file of each image.
        port: 0 takes a free one.
    """

    daemon_threads = True

    def __init__(self, ratings: Ratings, paths: Sequence[Path], port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.ratings, self.paths = ratings, list(paths)
        self.token = secrets.token_urlsafe(24)
        self.lock = Lock()
        self.unreadable: dict[int, str] = {}

    @property
    def hosts(self) -> tuple[str, str]:
        """What a request may name as its host."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def address(self) -> str:
        """The address to open, with the token."""
        return f"http://{self.hosts[0]}/?token={self.token}"

    def state(self, place: int | None = None) -> dict[str, Any]:
        """What the page shows: the image at a place, else the next that is open; how many are done."""
        ratings = self.ratings
        left = [k for k in ratings.open_images if k not in self.unreadable]
        shown = place if place is not None else (left[0] if left else None)
        order = [k for k in ratings.order if k not in self.unreadable]
        at = order.index(shown) if shown in order else len(order) if shown is None else 0
        before = order[at - 1] if at else None
        return {
            "place": shown,
            "before": before,
            "name": None if shown is None else ratings.images[shown],
            "rating": None if shown is None else ratings.found.get((ratings.images[shown], ratings.rater)),
            "done": len(ratings.images) - len(left) - len(self.unreadable),
            "total": len(ratings.images) - len(self.unreadable),
            "unreadable": len(self.unreadable),
        }

    def overview(self) -> list[dict[str, Any]]:
        """All images that are readable in the order of this rater, each with its rating so far."""
        ratings = self.ratings
        return [
            {"place": k, "name": ratings.images[k], "rating": ratings.found.get((ratings.images[k], ratings.rater))}
            for k in ratings.order
            if k not in self.unreadable
        ]


class _Handler(BaseHTTPRequestHandler):
    server: RatingServer
    server_version, sys_version = "ssliqa-bench", ""

    def do_GET(self) -> None:
        """The page, the state, the overview, or an image or its thumbnail by its number."""
        if not self._allowed():
            return
        asked = urlsplit(self.path)
        place = _number(parse_qs(asked.query).get("place", [""])[0])
        known = place is not None and place < len(self.server.paths)
        if asked.path == "/":
            self._page()
        elif asked.path == "/state":
            self._json(self.server.state(place if known else None))
        elif asked.path == "/overview":
            self._json(self.server.overview())
        elif asked.path == "/image" and place is not None and known:
            self._image(place)
        elif asked.path == "/thumbnail" and place is not None and known:
            self._thumbnail(place)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")

    def do_POST(self) -> None:
        """An answer: {"place": number, "rating": 1 to 5}."""
        if not self._allowed():
            return
        length = _number(self.headers.get("Content-Length", ""))
        if urlsplit(self.path).path != "/rate" or length is None or length > _LARGEST:
            self._refuse(HTTPStatus.BAD_REQUEST, "An answer was expected.")
            return
        try:
            said = json.loads(self.rfile.read(length))
            place, rating = said["place"], said["rating"]
            if type(place) is not int or type(rating) is not int:
                raise ValueError
            with self.server.lock:
                self.server.ratings.add(place, rating)
                found = self.server.state()
        except (KeyError, RecursionError, TypeError, ValueError):
            self._refuse(HTTPStatus.BAD_REQUEST, 'Expected {"place": number, "rating": 1 to 5}.')
        except SsliqaError as error:
            code = HTTPStatus.BAD_REQUEST if error.exit_code == 2 else HTTPStatus.INSUFFICIENT_STORAGE
            self._refuse(code, str(error))
        else:
            self._json(found)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address holds the token."""

    def _allowed(self) -> bool:
        """Whether a request comes from the page itself; answers it where not."""
        token = self.headers.get("X-Token") or parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN, "Foreign host.")
        elif origin is not None and origin not in {f"http://{host}" for host in self.server.hosts}:
            self._refuse(HTTPStatus.FORBIDDEN, "Foreign origin.")
        elif not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "The token is missing: open the address that the command printed.")
        else:
            return True
        return False

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(12)
        buttons = "".join(f'<button data-rating="{k}">{k} <small>{_WORDS[k - 1]}</small></button>'
                          for k in range(1, LEVELS + 1))  # fmt: skip
        text = _PAGE.read_text(encoding="utf-8")
        ratings = self.server.ratings
        for mark, value in (
            ("{{nonce}}", nonce), ("{{token}}", self.server.token), ("{{rater}}", html.escape(ratings.rater)),
            ("{{labels}}", html.escape(ratings.labels.name)), ("{{buttons}}", buttons),
        ):  # fmt: skip
            text = text.replace(mark, value)
        own = f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'"
        policy = f"default-src 'none'; img-src 'self'; connect-src 'self'; {own}"
        self._send(text.encode(), "text/html; charset=utf-8", policy)

    def _image(self, place: int) -> None:
        """A file as it is where browsers show what models see, else its picture as PNG.

        Transparent pixels are white for models, and grey on this page; embedded profiles are applied.
        """
        path = self.server.paths[place]
        try:
            picture = open_picture(path)
            data = path.read_bytes()
        except (DataError, OSError) as error:
            self._unreadable(place, error)
            return
        kind = next((kind for start, kind in _AS_IT_IS if data.startswith(start)), None)
        if kind is not None and not picture.blended and not picture.profile:
            self._send(data, kind)
            return
        made = io.BytesIO()
        Image.fromarray(picture.pixels).save(made, "PNG", compress_level=1)
        self._send(made.getvalue(), "image/png")

    def _thumbnail(self, place: int) -> None:
        try:
            self._send(thumbnail(self.server.paths[place]), "image/jpeg")
        except DataError as error:
            self._unreadable(place, error)

    def _unreadable(self, place: int, error: Exception) -> None:
        with self.server.lock:
            self.server.unreadable[place] = str(error)
        self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, "not readable as an image")

    def _json(self, content: Any) -> None:
        self._send(json.dumps(content).encode(), "application/json")

    def _refuse(self, code: HTTPStatus, reason: str) -> None:
        self._send(f"{reason}\n".encode(), "text/plain; charset=utf-8", code=code)

    def _send(
        self, data: bytes, kind: str, policy: str = "default-src 'none'", code: HTTPStatus = HTTPStatus.OK
    ) -> None:
        self.send_response(code)
        for name, value in (
            ("Content-Type", kind), ("Content-Length", str(len(data))), ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
