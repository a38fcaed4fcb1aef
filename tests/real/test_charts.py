"""Charts that the real ``helm`` published: to Debian's registry, to the devstack's, and as a repository."""

from __future__ import annotations

import asyncio
import http.server
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from real.processes import Child, free_ports
from real.programs import find
from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http
from windlass.adapters.registry.charts import ChartStore
from windlass.adapters.registry.client import RegistryDenied
from windlass.adapters.render.helm import Settings, fetched_chart, render_chart
from windlass.devstack.ociserver import Login, OciServer
from windlass.ports import ChartFound, ChartWanted

CHART = Path(__file__).parents[1] / "charts" / "shop"

pytestmark = [pytest.mark.real, pytest.mark.skipif(find("helm") is None, reason="Helm is not built: make real")]


def helm(*arguments: str, home: Path) -> str:
    environment = {name: str(home / name) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    done = subprocess.run(
        [str(find("helm")), *arguments], capture_output=True, text=True, env={**environment, "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def packaged(tmp_path: Path, *versions: str) -> list[Path]:
    for version in versions:
        helm("package", str(CHART), "--version", version, "-d", str(tmp_path / "packed"), home=tmp_path)
    return [tmp_path / "packed" / f"shop-{version}.tgz" for version in versions]


def rendered(found: ChartFound) -> str:
    answer, _ = render_chart(fetched_chart(found), [], Settings("shop", "prod"))
    return answer.files["shop/templates/deployment.yaml"]


@asynccontextmanager
async def store(tmp_path: Path) -> AsyncIterator[ChartStore]:
    async with Http(local=True) as client:
        yield ChartStore(tmp_path / "store", client, SystemClock())


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[str]:
    """Debian's registry: its host and port."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (tests/real/debian)")
    (port,) = free_ports(1)
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'registry'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\nlog: {{level: error}}\n"
    )
    child = Child("registry", [program, "serve", str(config)], tmp_path / "registry.log")
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        child.ask_to_end()
        child.wait(10)


async def test_a_chart_that_helm_pushed_to_debians_registry(debian: str, tmp_path: Path) -> None:
    for archive in packaged(tmp_path, "1.4.0", "1.4.1", "1.5.0-rc.1", "2.0.0", "1.4.2+build.3"):
        helm("push", str(archive), f"oci://{debian}/acme", "--plain-http", home=tmp_path)
    async with store(tmp_path) as charts:
        wanted = ChartWanted(f"oci://{debian}/acme", "shop", "~1.4", plain=True)
        found = await charts.resolve(wanted, {}, fresh=60)
        assert found.version == "1.4.2+build.3"
        assert Path(found.archive).read_bytes() == (tmp_path / "packed" / "shop-1.4.2+build.3.tgz").read_bytes()
        assert "helm.sh/chart: shop-1.4.2+build.3" in rendered(found)


@pytest.mark.parametrize("service", [False, True])
async def test_a_chart_that_helm_pushed_with_a_login(service: bool, tmp_path: Path) -> None:
    server = OciServer(str(tmp_path / "oci"), login=Login(token="hunter2", service=service))
    async with server.serve() as url:
        host = url.partition("://")[2]
        (archive,) = packaged(tmp_path, "1.4.0")
        login = ["registry", "login", host, "-u", "ada", "-p", "hunter2", "--plain-http"]
        await asyncio.to_thread(helm, *login, home=tmp_path)
        await asyncio.to_thread(helm, "push", str(archive), f"oci://{host}/acme", "--plain-http", home=tmp_path)
        async with store(tmp_path) as charts:
            wanted = ChartWanted(f"oci://{host}/acme", "shop", "1.x", plain=True)
            with pytest.raises(RegistryDenied):
                await charts.resolve(wanted, {}, fresh=60)
            found = await charts.resolve(wanted, {"username": b"ada", "password": b"hunter2"}, fresh=60)
            assert "helm.sh/chart: shop-1.4.0" in await asyncio.to_thread(rendered, found)


async def test_a_repository_whose_index_helm_wrote(tmp_path: Path) -> None:
    packaged(tmp_path, "1.4.0", "1.4.1", "2.0.0-beta.1")
    helm("repo", "index", str(tmp_path / "packed"), home=tmp_path)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "packed"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        async with store(tmp_path) as charts:
            wanted = ChartWanted(f"http://127.0.0.1:{server.server_port}", "shop", ">=1.4.0-0")
            assert (await charts.resolve(wanted, {}, fresh=60)).version == "2.0.0-beta.1"
            wanted = ChartWanted(f"http://127.0.0.1:{server.server_port}", "shop")
            found = await charts.resolve(wanted, {}, fresh=60)
            assert found.version == "1.4.1"
            assert "helm.sh/chart: shop-1.4.1" in await asyncio.to_thread(rendered, found)
    finally:
        server.shutdown()
        server.server_close()
