"""``windlass render`` of a chart: of a folder, with values of one's own, and of a chart that an Application names."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from desk import Done, Repo
from pysequoia import SignatureMode, Tsk, sign

Run = Callable[..., Done]

CHART = "apiVersion: v2\nname: web\nversion: 1.2.0\n"
TEMPLATE = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-{{ .Release.Namespace }}}\n"
    "data: {level: {{ .Values.level | quote }}}\n"
)
APP = """\
apiVersion: windlass.dev/v1alpha1
kind: Application
metadata: {name: shop, namespace: team}
spec:
  source: {repository: config, path: env, chart: {repository: "%s", name: web, version: 1.x}}
  render: {helm: {valuesFiles: [prod.yaml]}}
"""


@pytest.fixture
def charts(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "charts"
    folder.mkdir()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in (("Chart.yaml", CHART), ("templates/a.yaml", TEMPLATE), ("values.yaml", "level: info\n")):
            member = tarfile.TarInfo(f"web/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    (folder / "web.tgz").write_bytes(made.getvalue())
    digest = hashlib.sha256(made.getvalue()).hexdigest()
    entry = {"version": "1.2.0", "urls": ["web.tgz"], "digest": digest}
    (folder / "index.yaml").write_text(yaml.safe_dump({"entries": {"web": [entry]}}))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_folder_with_a_chart_is_rendered_with_values_of_ones_own(repo: Repo, run: Run, tmp_path: Path) -> None:
    repo.commit("Chart", **{"web/Chart.yaml": CHART, "web/templates/a.yaml": TEMPLATE, "web/values.yaml": "level: a\n"})
    assert yaml.safe_load(run("render", "web").out)["metadata"]["name"] == "release-name-default"
    (tmp_path / "one.yaml").write_text("level: one\n")
    (tmp_path / "two.yaml").write_text("level: two\n")
    done = run("render", "web", "--values", str(tmp_path / "one.yaml"), "--values", str(tmp_path / "two.yaml"))
    assert yaml.safe_load(done.out)["data"] == {"level": "two"}
    (tmp_path / "two.yaml").write_text("- no map\n")
    done = run("render", "web", "--values", str(tmp_path / "two.yaml"))
    assert done.code == 1
    assert "two.yaml can't be read" in done.err
    assert "docs/errors.md#chart-values" in done.err


def test_a_chart_that_an_application_names_is_fetched(repo: Repo, run: Run, charts: str) -> None:
    repo.commit("Values", **{"env/prod.yaml": "level: warn\n", "app.yaml": APP % charts})
    done = run("render", "env", "--app", "app.yaml")
    assert (done.code, done.err) == (0, "")
    made = yaml.safe_load(done.out)
    assert (made["metadata"]["name"], made["data"]) == ("shop-team", {"level": "warn"})
    repo.write("app.yaml", (APP % charts).replace("1.x", "3.x"))
    done = run("render", "env", "--app", "app.yaml")
    assert done.code == 1
    assert "no version of web is in 3.x" in done.err
    assert "the newest are: 1.2.0" in done.err


def test_it_is_told_which_source_gave_which_value(repo: Repo, run: Run, charts: str) -> None:
    inline = (APP % charts).replace("[prod.yaml]", "[prod.yaml], valuesFrom: [{secret: s}], values: {level: x}")
    secret = 'kind: Secret\nmetadata: {name: s}\nstringData: {values.yaml: "level: a\\npassword: hunter2\\n"}\n'
    repo.commit("Values", **{"env/prod.yaml": "level: warn\nmore: 1\n", "app.yaml": inline, "s.yaml": secret})
    told = run("render", "env", "--app", "app.yaml", "--values-from", "s.yaml", "--explain").out
    lines = [line.split() for line in told.splitlines()]
    assert ["level", "spec.render.helm.values"] in lines
    assert ["more", "env/prod.yaml"] in lines
    assert ["password", "Secret", "s"] in lines
    assert "hunter2" not in told
    told = run("render", "env", "--app", "app.yaml", "--values-from", "s.yaml", "--explain", "-o", "json").out
    assert json.loads(told)["values"]["more"] == "env/prod.yaml"


@pytest.mark.parametrize(("field", "value", "words"), [
    ("version", '"newest?"', "a version or a range"),
    ("version", '">>1"', "is no range of versions"),
    ("repository", '"file:///etc"', "the address of a chart repository"),
    ("repository", '"https://ada:pw@a.example"', "the address of a chart repository"),
    ("name", '"../../x"', "the name of a chart"),
    ("interval", "1s", "must be 10s or more"),
    ("verify", "{keyring: {}}", "names not one object"),
    ("verify", "{keyring: {secret: a, configMap: b}}", "names not one object"),
    ("verify", "{keyring: {secret: a, key: ../x}}", "a key of a ConfigMap"),
    ("verify", "{}", "keyring"),
])  # fmt: skip
def test_what_is_wrong_with_the_chart_that_is_named_is_told_by_its_field(
    field: str, value: str, words: str, repo: Repo, run: Run
) -> None:
    app = yaml.safe_load(APP % "https://charts.example.com")
    app["spec"]["source"]["chart"][field] = yaml.safe_load(value)
    repo.commit("Values", **{"env/prod.yaml": "level: warn\n", "app.yaml": yaml.safe_dump(app)})
    done = run("render", "env", "--app", "app.yaml")
    assert done.code == 1
    assert f"spec.source.chart.{field}" in done.err
    assert words in done.err


def test_a_chart_is_taken_only_with_the_signature_that_the_application_asks_for(
    repo: Repo, run: Run, charts: str, tmp_path: Path
) -> None:
    key, other = (Tsk.generate(user_id=f"{name} <{name}@acme.example>") for name in ("ada", "ben"))
    digest = hashlib.sha256((tmp_path / "charts/web.tgz").read_bytes()).hexdigest()
    body = f"{CHART}\n...\nfiles:\n  web.tgz: sha256:{digest}\n".encode()
    verify = APP.replace("version: 1.x", "version: 1.x, verify: {keyring: {configMap: signers}}") % charts
    repo.commit("Values", **{"env/prod.yaml": "level: warn\n", "app.yaml": verify})

    def render(*keys: Tsk) -> Done:
        held = {f"{number}.asc": str(one.extract_certificate()) for number, one in enumerate(keys)}
        signers = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signers"}, "data": held}
        repo.write("signers.yaml", yaml.safe_dump(signers))
        return run("render", "env", "--app", "app.yaml", *(["--values-from", "signers.yaml"] if keys else []))

    assert "mend name a file with its manifest: --values-from" in render().err
    assert "there is no provenance at" in render(key).err
    (tmp_path / "charts/web.tgz.prov").write_bytes(sign(key.signer(), body, mode=SignatureMode.CLEAR))
    done = render(other, key)
    assert (done.code, done.err) == (0, "")
    assert yaml.safe_load(done.out)["data"] == {"level": "warn"}
    done = render(other)
    assert done.code == 1
    assert "which is not in the keyring" in done.err
    assert "docs/errors.md#chart-unverified" in done.err
