"""Charts: from a folder in Git, from a chart repository, from a registry; installed, upgraded, and told."""

from __future__ import annotations

import hashlib
import http.server
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from pysequoia import SignatureMode, Tsk, sign
from pysequoia.packet import Packet, PacketPile

from e2e.team import Team, apply, config_map

CHART = Path(__file__).parents[1] / "charts" / "shop"


def chart_files(into: str, **changes: str) -> dict[str, str]:
    """The tests' chart as files of a commit."""
    files = {f"{into}/{one.relative_to(CHART)}": one.read_text() for one in CHART.rglob("*") if one.is_file()}
    return files | {f"{into}/{name}": text for name, text in changes.items()}


class Charts(http.server.SimpleHTTPRequestHandler):
    """A chart repository: files of a folder, over HTTP."""

    def log_request(self, *_: Any) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]

    def log_error(self, *_: Any) -> None:
        return


class ChartHost:
    """Serves a folder; ``publish`` puts a version of a chart there and writes the index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[dict[str, Any]] = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Charts, directory=str(folder)))
        self.server.asked = []  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def asked(self) -> list[str]:
        found: list[str] = self.server.asked  # type: ignore[attr-defined]
        return found

    def publish(self, version: str, name: str = "web", more: str = "") -> None:
        template = (
            "apiVersion: v1\nkind: ConfigMap\n"
            f"metadata: {{name: {'{{ .Release.Name }}' if name == 'web' else name + '-own'}}}\n"
            f"data:\n  version: '{version}'\n"
            "  level: {{ .Values.level | quote }}\n  kube: '{{ .Capabilities.KubeVersion }}'\n"
        )
        files = {
            "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}",
            "values.yaml": "level: info\n",
            "templates/config.yaml": template,
        }
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}/{path}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        data = made.getvalue()
        file = f"{name}-{version}.tgz"
        (self.folder / file).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        self.entries.append({"name": name, "version": version, "urls": [file], "digest": digest})
        named = sorted({one["name"] for one in self.entries})
        entries = {each: [one for one in self.entries if one["name"] == each] for each in named}
        index = {"apiVersion": "v1", "entries": entries}
        (self.folder / "index.yaml").write_text(yaml.safe_dump(index))

    def sign(self, version: str, key: Tsk, name: str = "web") -> None:
        """Publishes the provenance of a version, as ``helm package --sign`` makes it."""
        file = self.folder / f"{name}-{version}.tgz"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        body = f"name: {name}\nversion: {version}\n\n...\nfiles:\n  {file.name}: sha256:{digest}\n".encode()
        file.with_name(f"{file.name}.prov").write_bytes(sign(key.signer(), body, mode=SignatureMode.CLEAR))


@pytest.fixture
def charts(tmp_path: Path) -> Iterator[ChartHost]:
    folder = tmp_path / "charts"
    folder.mkdir()
    host = ChartHost(folder)
    yield host
    host.server.shutdown()
    host.server.server_close()


def may_define_kinds(team: Team) -> None:
    """The team's account may make CRDs: charts bring their own."""
    content = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{team.namespace}-kinds"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "windlass-applier", "namespace": team.namespace}],
    }
    assert apply(team.cluster, content).code in (200, 201)


def data(team: Team, name: str) -> dict[str, str]:
    return (team.get(f"v1/configmaps/{name}") or {}).get("data") or {}


def test_a_chart_in_git_is_installed_and_upgraded(team: Team) -> None:
    may_define_kinds(team)
    team.repository()
    render = {"helm": {"values": {"cache": {"size": "1Gi"}}, "valuesFiles": ["/env/prod.yaml"]}}
    team.application(render=render)
    first = team.commit({**chart_files("shop"), "env/prod.yaml": "replicas: 1\norder: {lines: 3}\n"})
    team.until_synced(first, seconds=60)
    assert data(team, "shop-cache")["size"] == "1Gi"
    assert data(team, "shop-shop")["motd.txt"] == "first line\nsecond line\n"
    order = team.get("shop.example.com/v1/orders/first")
    assert order is not None, "the CRD of the chart was there before its object"
    assert order["spec"] == {"lines": 3}
    assert team.get("batch/v1/jobs/shop-shop-migrate") is None, "hooks are not run"
    outcomes = {one["object"].rpartition("/")[2]: one for one in team.status()["outcomes"]}
    assert outcomes["shop-shop-migrate"]["result"] == "skipped"
    assert any("1 hook of the chart is not run yet" in line for line in team.status()["messages"])
    origin = team.get("v1/configmaps/shop-shop")["metadata"]["annotations"]["windlass.dev/origin"]  # type: ignore[index]
    assert origin == f"config@{first}:shop/templates/config.yaml"

    second = team.commit({"env/prod.yaml": "replicas: 2\ncache: {enabled: false}\nfromCache: {address: none}\n"})
    team.until_synced(second, seconds=60)
    assert team.get("v1/configmaps/shop-cache") is None
    assert team.get("apps/v1/deployments/shop-shop")["spec"]["replicas"] == 2  # type: ignore[index]


def test_a_chart_that_is_wrong_stops_nothing_that_runs(team: Team) -> None:
    team.repository()
    team.application(render={"helm": {"skipCrds": True}})
    values = (CHART / "values.yaml").read_text()
    good = team.commit(chart_files("shop", **{"values.yaml": values.replace("replicas: 2", "replicas: 1")}))
    team.until_synced(good, seconds=60)
    team.commit({"shop/templates/config.yaml": '{{ fail "no region" }}'})
    team.until(lambda: "no region" in team.ready().get("message", ""), "the template's error is told")
    assert "shop/templates/config.yaml:1" in team.ready()["message"]
    assert team.status()["commit"] == good
    assert data(team, "shop-shop") != {}


@pytest.mark.slow  # two looks at the shortest interval of a chart, which is 10 s
def test_a_range_takes_the_newest_and_follows_it(team: Team, charts: ChartHost) -> None:
    charts.publish("1.0.0")
    charts.publish("2.0.0")
    team.repository()
    chart = {"repository": charts.url, "name": "web", "version": ">=1, <2", "interval": "10s"}
    source = {"repository": "config", "path": "env", "chart": chart}
    team.put("v1", "Secret", "levels", stringData={"values.yaml": "level: debug\n"})
    team.put(
        "windlass.dev/v1alpha1",
        "Application",
        "web",
        spec={
            "source": source,
            "render": {"helm": {"valuesFiles": ["web.yaml"], "valuesFrom": [{"secret": "levels"}]}},
        },
    )
    commit = team.commit({"env/web.yaml": "level: warn\n", "env/other.yaml": config_map("other")})
    team.until_synced(commit, "web")
    assert data(team, "web")["version"] == "1.0.0"
    assert data(team, "web")["level"] == "debug", "the Secret's values win over those of the file"
    assert data(team, "web")["kube"].startswith("v1.")
    assert team.get("v1/configmaps/other") is None, "the folder holds values, and is not applied itself"
    assert team.status("web")["chart"].startswith("web 1.0.0 sha256:")
    assert charts.asked.count("/web-1.0.0.tgz") == 1

    charts.publish("1.1.0")
    team.until(lambda: data(team, "web").get("version") == "1.1.0", "the new version is applied", 40)
    team.until_synced(commit, "web")
    team.until(lambda: team.status("web")["chart"].startswith("web 1.1.0 sha256:"), "the version is in the status")

    assert [one["chart"].split()[:2] for one in team.status("web")["history"]] == [["web", "1.1.0"]]

    # A repository that is gone changes nothing, and is told.
    shutil.rmtree(charts.folder)
    told = "no newer version of the chart could be looked for"
    team.until(lambda: any(told in line for line in team.status("web").get("messages", [])), "the trouble is told", 40)
    assert team.status("web")["sync"] == "Synced"
    assert data(team, "web")["version"] == "1.1.0"


def test_a_chart_that_is_not_there_is_told_with_what_is(team: Team, charts: ChartHost) -> None:
    charts.publish("1.0.0")
    team.repository()
    chart = {"repository": charts.url, "name": "web", "version": ">=3"}
    team.put("windlass.dev/v1alpha1", "Application", "web", spec={"source": {"repository": "config", "chart": chart}})
    team.commit({"README.md": "x"})
    team.until(lambda: team.ready("web").get("reason") == "ChartMissing", "the missing version is told")
    assert "mend: the newest are: 1.0.0" in team.status("web")["messages"]


def test_a_chart_is_applied_only_while_somebody_of_the_keyring_vouches_for_it(team: Team, charts: ChartHost) -> None:
    charts.publish("1.0.0")
    key, other = (Tsk.generate(user_id=f"{name} <{name}@acme.example>") for name in ("ada", "ben"))
    charts.sign("1.0.0", key)
    team.put("v1", "Secret", "ada", stringData={"a.asc": str(key.extract_certificate())})
    team.put("v1", "Secret", "ben", stringData={"b.asc": str(other.extract_certificate())})
    team.repository()
    commit = team.commit({"README.md": "x"})

    def ask(secret: str) -> None:
        chart = {"repository": charts.url, "name": "web", "verify": {"keyring": {"secret": secret}}}
        spec = {"source": {"repository": "config", "chart": chart}}
        team.put("windlass.dev/v1alpha1", "Application", "web", spec=spec)

    ask("ben")
    team.until(lambda: team.ready("web").get("reason") == "ChartUnverified", "the strange signature is told")
    assert "which is not in the keyring" in team.ready("web")["message"]
    assert data(team, "web") == {}
    ask("ada")
    team.until_synced(commit, "web")
    signer = next(one.fingerprint for one in PacketPile.from_bytes(bytes(key.extract_certificate())) if _signs(one))
    team.until(lambda: team.status("web")["chart"].endswith(f" signed by {signer.upper()}"), "the signer is told")
    assert data(team, "web")["version"] == "1.0.0"
    ask("nobody")
    team.until(lambda: team.ready("web").get("reason") == "ChartUnverified", "a keyring that is gone is told")
    assert "there is no Secret nobody" in team.ready("web")["message"]
    assert data(team, "web")["version"] == "1.0.0", "what runs stays"


def test_a_dependency_that_is_fetched_for_a_chart_needs_somebody_of_the_keyring_too(
    team: Team, charts: ChartHost
) -> None:
    key = Tsk.generate(user_id="ada <ada@acme.example>")
    charts.publish("1.0.0")
    charts.publish("0.1.0", "shop", f"dependencies: [{{name: web, version: 1.0.0, repository: '{charts.url}'}}]\n")
    charts.sign("0.1.0", key, "shop")
    team.put("v1", "Secret", "ada", stringData={"a.asc": str(key.extract_certificate())})
    team.repository()
    team.commit({"README.md": "x"})
    chart = {"repository": charts.url, "name": "shop", "verify": {"keyring": {"secret": "ada"}}}
    spec = {"source": {"repository": "config", "chart": chart}}
    team.put("windlass.dev/v1alpha1", "Application", "shop", spec=spec)
    team.until(lambda: team.ready().get("reason") == "ChartUnverified", "nobody vouches for the dependency", 60)
    assert f"there is no provenance at {charts.url}/web-1.0.0.tgz.prov" in team.ready()["message"]
    assert "the dependency web" in team.ready()["message"]
    assert data(team, "shop") == {}
    charts.sign("1.0.0", key)
    team.until_synced(team.commit({"README.md": "y"}), seconds=60)
    assert data(team, "shop")["version"] == "1.0.0"


def _signs(packet: Packet) -> bool:
    """The first subkey is the one that signs."""
    return str(packet.tag).endswith("PublicSubkey")


def test_a_chart_of_git_with_a_dependency_that_is_fetched(team: Team, charts: ChartHost) -> None:
    charts.publish("1.0.0")
    charts.publish("1.1.0")
    team.repository()
    team.application()
    wants = f"dependencies: [{{name: web, version: 1.x, repository: '{charts.url}'}}]\n"
    lock = f"dependencies: [{{name: web, version: 1.0.0, repository: '{charts.url}'}}]\n"
    chart = "apiVersion: v2\nname: shop\nversion: 0.1.0\n" + wants
    commit = team.commit(
        {"shop/Chart.yaml": chart, "shop/Chart.lock": lock, "shop/values.yaml": "web: {level: warn}\n"}
    )
    team.until_synced(commit)
    assert (data(team, "shop")["version"], data(team, "shop")["level"]) == ("1.0.0", "warn")
    commit = team.commit({"shop/Chart.lock": lock.replace("1.0.0", "1.1.0")})
    team.until_synced(commit)
    assert data(team, "shop")["version"] == "1.1.0"
