"""A front that speaks the XML dialect of Google's storage, and asks fake-gcs-server in its JSON dialect.

obstore speaks XML; of that the server answers GET, HEAD and lists itself, which go through as they are. Uploads and
deletions are turned into JSON requests. Uploads go as `multipart`, the only kind for which the server honours
`ifGenerationMatch`.
"""

import http.client
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from support.redis_programs import HOST

HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "transfer-encoding"}


class _Handler(BaseHTTPRequestHandler):
    """One request; `server.upstream` is the port of fake-gcs-server."""

    protocol_version = "HTTP/1.1"
    server: "GcsFront"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        status, told, body = self._ask(self.command, self.path, headers=headers)
        if status == 500 and b"no bucket named" in body:  # the real one says so with 404
            status, body = (
                404,
                b"<Error><Code>NoSuchBucket</Code><Message>no bucket named so</Message></Error>",
            )
        kept = {name: value for name, value in told.items() if name.lower() not in HOP_BY_HOP}
        size = told.get("Content-Length") if self.command == "HEAD" else None
        self._answer(status, body, kept, size)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        """Write an object, if its generation is the one that the request names; 0 is none at all."""
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bucket, name = self._object()
        if self.server.holds and name.endswith(self.server.holds):
            self.server.held.set()
            self.connection.recv(1)  # until the client is gone
            self.close_connection = True
            return
        boundary = secrets.token_hex(12)
        kind = self.headers.get("Content-Type", "application/octet-stream")
        about = json.dumps({"name": name, "contentType": kind})
        body = b"".join((
            f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{about}\r\n".encode(),
            f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode(), data, f"\r\n--{boundary}--\r\n".encode(),
        ))  # fmt: skip
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
        if (generation := self.headers.get("x-goog-if-generation-match")) is not None:
            path += f"&ifGenerationMatch={generation}"
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}
        status, _, answer = self._ask("POST", path, body, headers)
        if status >= 300:
            self._answer(status, answer, {})
            return
        made = json.loads(answer)
        self._answer(200, b"", {"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]})

    def do_DELETE(self) -> None:
        bucket, name = self._object()
        status, _, answer = self._ask("DELETE", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}")
        self._answer(204 if status < 300 else status, b"" if status < 300 else answer, {})

    def _object(self) -> tuple[str, str]:
        bucket, _, name = urlsplit(self.path).path.lstrip("/").partition("/")
        return bucket, unquote(name)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(HOST, self.server.upstream, timeout=20)
        try:
            upstream.request(method, path, body, headers or {})
            answer = upstream.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, body: bytes, headers: dict[str, str], size: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", size or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class GcsFront(ThreadingHTTPServer):
    """The front, in threads of this process; `port` is where it listens.

    An upload of a name that ends in `holds` gets no further and no answer; `held` is set once one has come.
    """

    daemon_threads = True

    def __init__(self, upstream: int, *, holds: str = "") -> None:
        super().__init__((HOST, 0), _Handler)
        self.upstream = upstream
        self.holds, self.held = holds, threading.Event()
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, name="gcs-front", daemon=True).start()
