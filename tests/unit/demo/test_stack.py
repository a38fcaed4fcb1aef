"""The devstack under ``windlass up``."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from windlass.demo.stack import kept_ports


def test_the_ports_of_the_last_run_are_taken_again_where_they_are_free(tmp_path: Path) -> None:
    file = tmp_path / "addresses.json"
    assert kept_ports(file) == {}
    with socket.socket() as other, socket.socket() as free:
        other.bind(("127.0.0.1", 0))
        other.listen()
        free.bind(("127.0.0.1", 0))
        taken, number = other.getsockname()[1], free.getsockname()[1]
        free.close()
        urls = {"kubernetes": "https://127.0.0.1:1", "git": f"http://127.0.0.1:{taken}"}
        file.write_text(json.dumps({**urls, "registry": f"http://127.0.0.1:{number}"}))
        assert kept_ports(file) == {"registry": number}
    for text in ("", "[]", '{"git": "http://127.0.0.1:x"}', '{"git": "http://127.0.0.1"}', '{"registry": 1}'):
        file.write_text(text)
        assert kept_ports(file) == {}
