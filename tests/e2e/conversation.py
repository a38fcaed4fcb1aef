"""A conversation with an API server written down as text, to be held against what a real server said.

The tests `test_apiserver_*.py` send the same requests to the devcluster and to a real control plane;
`answers/<test>.txt` holds what the real one answered (written with `--record-answers`). What differs from run to run is
replaced by a name: namespaces, uids, resource versions, times, addresses, random suffixes. It judges nothing itself:
the text is equal or it is not.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from real.cluster import Answer, Cluster

ANSWERS = Path(__file__).with_name("answers")
_UID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_VERSION = re.compile(r"""(resourceVersion[\\": ]+|ResourceVersion in record \()(\d{2,})""")
_GENERATED = re.compile(r"\b(made-|Bad_|kube-api-access-)([bcdfghjklmnpqrstvwxz2456789]{5})\b")
_OBJECT = re.compile(
    r'(?<=patch: Invalid value: )".*"(?=: strict decoding error)|(?<=^Invalid value: )"\{.*\}"(?=: strict)'
)
_LEFT_OUT = ("storageVersionHash",)


class Conversation:
    """Requests to one cluster and their answers, as text. `NS` in paths and bodies stands for the test's namespace.

    Set `busy` where controllers write to the objects at the same time: then their traces (status, their manager's
    entries, the revision annotation, the numbers of resource versions) are left out. Set `any_order` if an object can
    have several faults: the real server lists those of a custom resource in no order.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, *, record: bool = False) -> None:
        self.cluster, self.ns, self.name = cluster, namespace, name
        self.busy = self.any_order = False
        self.lines: list[str] = []
        self._record = record
        self._names = {namespace: "NS"}
        self._uids: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def rename(self, word: str, told: str) -> None:
        """From now on the text says `told` for a word that differs from run to run."""
        self._names[word] = told

    def get(self, path: str, **query: str) -> Answer:
        """GET, told."""
        return self.send("GET", path, **query)

    def post(self, path: str, body: Any, **query: str) -> Answer:
        """POST, told."""
        return self.send("POST", path, body, **query)

    def put(self, path: str, body: Any, **query: str) -> Answer:
        """PUT, told."""
        return self.send("PUT", path, body, **query)

    def patch(self, path: str, content_type: str, body: Any, **query: str) -> Answer:
        """PATCH, told."""
        return self.send("PATCH", path, body, content_type=content_type, **query)

    def apply(self, path: str, manager: str, body: Any, **query: str) -> Answer:
        """A server-side apply, told. A body without a name is given the path's."""
        if isinstance(body, dict):
            parts = [part for part in path.split("/") if part not in ("status", "scale")]
            body = body | {"metadata": {"name": parts[-1], **body.get("metadata", {})}}
        return self.send(
            "PATCH", path, body, content_type="application/apply-patch+yaml", fieldManager=manager, **query
        )

    def delete(self, path: str, body: Any = None, **query: str) -> Answer:
        """DELETE, told."""
        return self.send("DELETE", path, body, **query)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:
        """Any request, told: the line, what was sent, the code, warnings and the body."""
        answer = self.quietly(method, path, body, content_type=content_type, headers=headers, **query)
        asked = "".join(f" {key}={value}" for key, value in query.items())
        kind = "" if method != "PATCH" else f" ({content_type})"
        self.lines.append(f"### {self._plain(f'{method} {path}{asked}')}{kind}")
        if isinstance(body, bytes):
            self.lines.append(self._plain(body.decode(errors="replace")))
        elif body is not None:
            self.lines.append(self.text(body, indent=None))
        self.lines.append(f"--> {answer.code} {answer.headers.get('content-type', '-')}")
        if warning := answer.headers.get("warning"):
            self.lines.append(f"Warning: {self._plain(warning)}")
        if answer.headers.get("content-type", "").startswith("application/json"):
            self.lines.append(self.text(answer.json))
        else:
            self.lines.append(self._plain(answer.body.decode(errors="replace").strip()))
        return answer

    def quietly(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:
        """A request that is not told; `NS` stands for the namespace here too."""
        if body is not None and not isinstance(body, bytes):
            body = json.loads(re.sub(r"\bNS\b", self.ns, json.dumps(body)))
        query = {key: re.sub(r"=NS\b", f"={self.ns}", value) for key, value in query.items()}
        path = re.sub(r"/NS\b", f"/{self.ns}", path)
        agent = {"User-Agent": "conversation/1.0", **(headers or {})}
        return self.cluster.request(method, path, body, content_type=content_type, headers=agent, **query)

    def say(self, words: str) -> None:
        """A remark in the text."""
        self.lines.append(f"# {self._plain(words)}")

    def tell(self, value: Any) -> None:
        """Any JSON value, into the text."""
        self.lines.append(self.text(value))

    def text(self, value: Any, indent: int | None = 1) -> str:
        """The value as stable text: keys sorted, what differs from run to run named, `fieldsV1` in a line as it is."""
        raws: list[str] = []
        cleaned = self._clean(value, raws)
        text = json.dumps(cleaned, indent=indent, sort_keys=True, ensure_ascii=False)
        for number, raw in enumerate(raws):
            text = text.replace(f'"@raw{number}@"', raw)
        return self._plain(text)

    def check(self) -> None:
        """Holds the text against the real server's (with `record`, writes it down if this is the real server)."""
        path = ANSWERS / f"{self.name}.txt"
        text = "\n".join(self.lines) + "\n"
        if self._record and self.cluster.name == "real":
            path.write_text(text)
            return
        want = path.read_text()
        if text != want:
            diff = difflib.unified_diff(
                want.splitlines(), text.splitlines(), "the real server", self.cluster.name, lineterm="", n=6
            )
            raise AssertionError("the answers differ:\n" + "\n".join(diff))

    def _clean(self, value: Any, raws: list[str]) -> Any:
        if isinstance(value, list):
            return [self._clean(each, raws) for each in value]
        if not isinstance(value, dict):
            return value
        kept = dict(value)
        if self.busy:
            _leave_out_controllers(kept)
        if self.any_order and " is invalid: [" in str(kept.get("message")):
            kept["message"] = kept["message"].partition(" is invalid: [")[0] + " is invalid"
        done: dict[str, Any] = {}
        for key, each in kept.items():
            if key in _LEFT_OUT:
                continue
            if key == "fieldsV1":
                raws.append(json.dumps(each, separators=(",", ":"), ensure_ascii=False))
                done[key] = f"@raw{len(raws) - 1}@"
            elif key == "managedFields" and isinstance(each, list):
                done[key] = self._clean(_by_manager(each), raws)
            elif key == "message" and isinstance(each, str):
                # Left out: differences of structures of the server's language, and a patched object in its words.
                done[key] = _OBJECT.sub("OBJECT", each.split("\n@@", 1)[0])
            elif key == "causes":
                done[key] = self._clean(sorted(each, key=lambda cause: json.dumps(cause, sort_keys=True)), raws)
            elif key == "resourceVersion" and isinstance(each, str) and each.isdigit():
                done[key] = self._version(each, is_list="items" in value or "name" not in value)
            elif key in ("clusterIP", "podIP", "hostIP") and each not in ("None", ""):
                done[key] = "IP"
            elif key == "clusterIPs" and each != ["None"]:
                done[key] = ["IP"]
            elif key == "serverAddress":
                done[key] = "ADDRESS"
            elif key == "continue":
                done[key] = "TOKEN" if each else ""
            elif key == "name" and "generateName" in value and str(each).startswith(str(value["generateName"])):
                done[key] = f"{value['generateName']}{'X' * (len(each) - len(value['generateName']))}"
            else:
                done[key] = self._clean(each, raws)
        return done

    def _version(self, version: str, *, is_list: bool) -> str:
        if self.busy or is_list:
            return "RV"
        return self._versions.setdefault(version, f"RV-{len(self._versions) + 1}")

    def _plain(self, text: str) -> str:
        for word, told in self._names.items():
            text = text.replace(word, told)
        text = _UID.sub(lambda found: self._uids.setdefault(found[0], f"UID-{len(self._uids) + 1}"), text)
        text = _VERSION.sub(lambda found: found[1] + self._version(found[2], is_list=False), text)
        text = _GENERATED.sub(lambda found: f"{found[1]}{'X' * len(found[2])}", text)
        return _TIME.sub("TIME", text)


def _by_manager(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries in an order that no clock decides, once it is seen that they came in the order of a server."""

    def key(entry: dict[str, Any], *, timed: bool) -> tuple[str, ...]:
        names = ("operation", *(("time",) if timed else ()), "manager", "apiVersion", "subresource")
        return tuple(entry.get(name, "") for name in names)

    came = [key(entry, timed=True) for entry in entries]
    if came != sorted(came):
        raise AssertionError(f"managedFields are not in the order of operation, time and manager: {came}")
    return sorted(entries, key=lambda entry: key(entry, timed=False))


def _leave_out_controllers(value: dict[str, Any]) -> None:
    if "metadata" in value and value.get("kind", "Status") != "Status":
        value.pop("status", None)
    if isinstance(entries := value.get("managedFields"), list):
        value["managedFields"] = [each for each in entries if each.get("manager") != "kube-controller-manager"]
    annotations = value.get("annotations")
    if isinstance(annotations, dict) and "deployment.kubernetes.io/revision" in annotations:
        rest = {key: each for key, each in annotations.items() if key != "deployment.kubernetes.io/revision"}
        value.pop("annotations")
        if rest:
            value["annotations"] = rest
