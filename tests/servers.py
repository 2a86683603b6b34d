"""A file server on this machine that can stop in the middle of an answer, as a bad connection does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """What the handler serves and what it was asked.

    Attributes:
        files: path -> content.
        breaks: for the next answers, after how many bytes the connection is cut.
        asked: headers of every request.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, bytes] = {}
        self.etag = '"first"'
        self.breaks: list[int] = []
        self.asked: list[dict[str, str]] = []


@contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(dict(self.headers))
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = 0
            asked = self.headers.get("Range")
            if asked and self.headers.get("If-Range") == state.etag:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", state.etag)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            limit = state.breaks.pop(0) if state.breaks else len(content)
            self.wfile.write(content[start : start + limit])
            self.close_connection = True

        def log_message(self, *words: object) -> None:
            """Nothing on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        state = Server(f"http://127.0.0.1:{made.server_address[1]}")
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            made.shutdown()
            thread.join()
