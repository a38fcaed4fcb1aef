"""A front of a Git server that fails as it is told: away, slow, answering half, garbage, errors, somewhere else."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class FaultyGit:
    """`fault` is one of the names below, "" for none. A context manager; `url` stands for the one behind it."""

    FAULTS = ("away", "error", "garbage", "half", "empty", "elsewhere", "silent")

    def __init__(self, behind: str) -> None:
        self.fault = ""
        self.asked = 0
        front, target = self, urlsplit(behind)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer(b"")

            def do_POST(self) -> None:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.answer(body)

            def answer(self, body: bytes) -> None:
                front.asked += 1
                self.close_connection = True
                match front.fault:
                    case "away":
                        self.connection.shutdown(socket.SHUT_RDWR)
                        return
                    case "silent":
                        time.sleep(3)
                        return
                    case "error":
                        self.send_error(503)
                        return
                    case "garbage":
                        self.tell(200, b"<html>not git at all</html>" * 50)
                        return
                    case "empty":
                        self.tell(200, b"")
                        return
                    case "elsewhere":
                        self.send_response(302)
                        self.send_header("Location", "http://127.0.0.1:1/metadata")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                status, content, kind = self.behind(body)
                half = front.fault == "half" and self.command == "POST" and b"PACK" in content
                self.tell(status, content, kind, cut=len(content) // 2 if half else None)

            def behind(self, body: bytes) -> tuple[int, bytes, str]:
                connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
                kept = ("content-type", "accept", "git-protocol", "content-encoding", "authorization")
                headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                return answer.status, content, answer.getheader("Content-Type", "text/plain")

            def tell(self, status: int, content: bytes, kind: str = "text/html", cut: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(content[:cut])

            def log_message(self, *arguments: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultyGit:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
