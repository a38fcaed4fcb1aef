"""What goes into a render besides the files: named on the command line, or read with the person's own rights.

``render`` takes it from files and folders, so that nothing is asked of a cluster; ``plan`` and ``diff`` fetch the
further Repositories of an Application and read the values that it names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http
from windlass.adapters.registry.charts import ChartStore
from windlass.cli import fetching
from windlass.cli.reaching import Reach, repository_named
from windlass.cli.trees import Place
from windlass.core.documents import read
from windlass.core.kinds.application import Application
from windlass.errors import NeedsHuman, Where, WindlassError
from windlass.flows.secrets import SecretReader
from windlass.flows.values import KEYRING, keyring_in, read_keyring, read_values
from windlass.ports import ChartFound, ChartUnverified, ChartWanted, ClusterValues, OtherSource
from windlass.settings import cache_folder


def given_values(files: Sequence[Path]) -> ClusterValues:
    """The ConfigMaps and Secrets of some files, in place of the cluster's. Raises NeedsHuman, DocumentError."""
    found: dict[str, dict[str, bytes]] = {}
    for file in files:
        for document in read(file.read_bytes(), str(file)):
            content = document.value
            kind = content.get("kind") if isinstance(content, dict) else None
            if kind not in ("ConfigMap", "Secret"):
                raise NeedsHuman(
                    "this is no ConfigMap and no Secret",
                    where=Where(file=str(file), line=document.line),
                    hint="name a file with those whose values go into the render",
                )
            name = (content.get("metadata") or {}).get("name")
            found[f"{kind}/{name}"] = _bytes(content, file, document.line)
    return ClusterValues(found)


def _bytes(content: dict[str, Any], file: Path, line: int) -> dict[str, bytes]:
    secret = content["kind"] == "Secret"
    plain = content.get("stringData" if secret else "data") or {}
    coded = content.get("data" if secret else "binaryData") or {}
    try:
        made = {str(key): base64.b64decode(value, validate=True) for key, value in coded.items()}
        return {**made, **{str(key): value.encode() for key, value in plain.items()}}
    except (binascii.Error, ValueError, TypeError, AttributeError):
        what = "a value is not text" if not coded else "a value is not base64"
        raise NeedsHuman(what, where=Where(file=str(file), line=line)) from None


def given_sources(words: Sequence[str]) -> dict[str, OtherSource]:
    """Further repositories as folders of this machine: ``lib=../libraries``. Raises NeedsHuman."""
    found: dict[str, OtherSource] = {}
    for word in words:
        name, mark, folder = word.partition("=")
        if not mark or not name or not Path(folder).is_dir():
            raise NeedsHuman(f"--source {word} names no folder", hint="--source lib=../libraries")
        found[name] = OtherSource(name, str(Path(folder).absolute()), "")
    return found


async def with_inputs(to: Reach, app: Application, place: Place) -> Place:
    """A place with what else an Application's render reads: each further Repository fetched, the values it names."""
    others = dict(place.others)
    for one in app.spec.sources:
        repository = await repository_named(to, app, one.repository, "spec.sources")
        fetched = await fetching.fetch(repository.spec.url, repository.spec.ref)
        others[one.name] = OtherSource(one.repository, fetched.folder, one.at or fetched.commit)
    values = await read_values(to.cluster, app.metadata.namespace, app.spec.render)
    secret: Mapping[str, bytes] = {}
    keyring = None
    if app.spec.source.chart is not None and app.spec.source.chart.verify is not None:
        keyring = await read_keyring(to.cluster, app.metadata.namespace, app.spec.source.chart.verify.keyring)
    if app.spec.source.chart is not None and app.spec.source.chart.secret:
        secret = await SecretReader(to.cluster, SystemClock()).read(
            app.metadata.namespace, app.spec.source.chart.secret
        )
    return replace(place, others=others, values=values, chart=await fetched_chart(app, secret, keyring))


def given_keyring(app: Application, values: ClusterValues) -> list[bytes] | None:
    """The keyring that an Application names, from files in place of the cluster's; None where it names none. Raises
    ChartUnverified."""
    chart = app.spec.source.chart
    if chart is None or chart.verify is None:
        return None
    keyring = chart.verify.keyring
    if keyring.named.key not in values.objects:
        raise ChartUnverified(
            f"{keyring.named.kind} {keyring.named.name} with the keyring is not here",
            where=Where(field=KEYRING),
            hint="name a file with its manifest: --values-from keyring.yaml",
        )
    return keyring_in(keyring, values.objects[keyring.named.key])


async def fetched_chart(
    app: Application, secret: Mapping[str, bytes] | None = None, keyring: Sequence[bytes] | None = None
) -> ChartFound | None:
    """The chart that an Application names, fetched from this machine into the cache; None where it names none."""
    chart = app.spec.source.chart
    if chart is None:
        return None
    # A person's own machine asks what the person names, also something on it.
    async with Http(local=True) as http:
        store = ChartStore(cache_folder() / "charts", http, SystemClock())
        wanted = ChartWanted(chart.repository, chart.name, chart.version, chart.plain_http)
        try:
            return await store.resolve(wanted, secret or {}, fresh=0.0, keyring=keyring)
        except WindlassError as error:
            raise error.at(Where(field="spec.source.chart")) from None
