"""The process of the stand-in for Slack: `python slack_server.py`; says its port on stdout, ends with its stdin."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.slack_rules import refusal

TOKEN = "xoxb-standin-token"
HOOK = "/services/T0STANDIN/B0STANDIN/standinsecret"
CHANNELS = {"#data-alerts": "C0DATA", "C0DATA": "C0DATA", "#ops": "C0OPS", "C0OPS": "C0OPS"}
RESETS = struct.pack("ii", 1, 0)


class Server(ThreadingHTTPServer):
    """What all requests share: the answers to come, what came, and the messages that Slack would show."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.changed = threading.Condition()
        self.script: deque[dict[str, Any]] = deque()
        self.always: dict[str, Any] = {}
        self.received: list[dict[str, Any]] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.released = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._take(b"")

    def do_GET(self) -> None:
        if self.path == "/_control/received":
            with self.server.changed:
                self._json(200, {"received": self.server.received, "messages": self.server.messages})
            return
        if self.path.startswith("/_control/wait/"):
            wanted = int(self.path.rpartition("/")[2])
            with self.server.changed:
                came = self.server.changed.wait_for(lambda: len(self.server.received) >= wanted, 30)
            self._json(200, {"came": came})
            return
        self._take(b"")

    def do_POST(self) -> None:
        if self.path == "/_control/script":
            told = json.loads(self._body())
            with self.server.changed:
                self.server.script = deque(told["next"])
                self.server.always = told["always"]
                self.server.released.set()
                self.server.released = threading.Event()
            self._json(200, {})
            return
        with self.server.changed:
            cut = bool(self.server.script) and self.server.script[0].get("do") == "cut before"
            if cut:
                self.server.script.popleft()
        if cut:  # nothing of the message was read, so nothing of it arrived
            self._cut()
            return
        self._take(self._body())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _take(self, body: bytes) -> None:
        server = self.server
        try:
            payload = json.loads(body) if body else None
        except ValueError:
            payload = None
        with server.changed:
            answer = server.script.popleft() if server.script else dict(server.always)
            released = server.released
            plain = answer.get("do", "") in ("", "cut after", "hang after", "drip")
            status, told = self._slack(payload) if plain else (answer.get("status", 500), {})
            server.received.append({
                "method": self.command, "path": self.path, "body": body.decode("utf-8", "replace"), "json": payload,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "status": status if plain else 0, "do": answer.get("do", ""),
            })  # fmt: skip
            server.changed.notify_all()
        match answer.get("do", ""):
            case "hang" | "hang after":
                released.wait(60)
                self._cut()
            case "cut" | "cut after":
                self._cut()
            case "drip":
                self._drip(released)
            case "status":
                self._answer(status, answer.get("text", "").encode(), answer.get("headers", {}))
            case _:
                if isinstance(told, str):
                    self._answer(status, told.encode(), {})
                else:
                    self._json(status, told)

    def _slack(self, payload: Any) -> tuple[int, Any]:
        """Answer as Slack does: webhooks in words and by status, methods of the API by `ok`."""
        path = urlsplit(self.path).path
        if path.startswith("/services/"):
            if path.rpartition("/")[2] != HOOK.rpartition("/")[2]:
                return (
                    (403, "invalid_token")
                    if path.startswith(HOOK.rpartition("/")[0])
                    else (404, "no_service")
                )
            if wrong := refusal(payload):
                return 400, wrong
            if (payload.get("channel") or "#data-alerts") not in CHANNELS:
                return 404, "channel_not_found"
            return 200, "ok"
        if not path.startswith("/api/"):
            return 200, {"ok": True}
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}
        if path == "/api/auth.test":
            return 200, {"ok": True, "team": "Stand-in", "user": "flowlord"}
        if wrong := refusal(payload):
            return 200, {"ok": False, "error": wrong}
        channel = CHANNELS.get(payload.get("channel", ""))
        if channel is None:
            return 200, {"ok": False, "error": "channel_not_found"}
        messages = self.server.messages
        if path == "/api/chat.postMessage":
            at = f"1700000000.{len(messages) + 1:06d}"
            messages[at] = {
                "channel": channel,
                "thread": payload.get("thread_ts", ""),
                "edits": 0,
                "json": payload,
            }
            return 200, {"ok": True, "channel": channel, "ts": at}
        if path == "/api/chat.update":
            found = messages.get(payload.get("ts", ""))
            if found is None or payload["channel"] != found["channel"]:  # it takes ids of channels only
                return 200, {"ok": False, "error": "message_not_found"}
            found["edits"] += 1
            found["json"] = payload
            return 200, {"ok": True, "channel": channel, "ts": payload["ts"]}
        if path == "/api/chat.delete":
            messages.pop(payload.get("ts", ""), None)
            return 200, {"ok": True}
        return 200, {"ok": False, "error": "unknown_method"}

    def _drip(self, released: threading.Event) -> None:
        """Answer a byte at a time, without an end."""
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not released.wait(0.05):
                self.wfile.write(b"a")
                self.wfile.flush()
        except OSError:
            pass

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
        self.connection.close()

    def _json(self, status: int, value: Any) -> None:
        self._answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the other side went away
            pass

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # it was cut
            pass


def main() -> None:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
