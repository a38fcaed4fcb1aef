"""From the objects that a renderer made to what is applied: in one order, with marks and digests. For every renderer.

Called by ``steps``. It holds what concerns all objects of a render together: which kinds have a namespace, and that
nothing is written twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from windlass.adapters.render.findings import Findings
from windlass.adapters.render.objects import Prepared, Raw
from windlass.core import kinds
from windlass.core.manifests import resources
from windlass.core.manifests.order import tier
from windlass.core.model import Desired, ObjectRef, Origin, Problem
from windlass.core.plan import ownership
from windlass.ports import RenderRequest

LastChanged = Callable[[Sequence[str]], Mapping[str, str]]
"""Paths to the commit that last changed each, as far as was looked."""


@cache
def _builtin_scopes() -> dict[tuple[str, str], bool]:
    scopes = {(one.group, one.kind): one.namespaced for one in resources.builtin()}
    return scopes | {(kinds.GROUP, one.kind): one.namespaced for one in kinds.KINDS}


def scope_of(request: RenderRequest, raws: Iterable[Raw], used: dict[str, bool]) -> Callable[[str, str], bool]:
    """Whether a kind is namespaced: the built-in table, CRDs in the render, the cluster's word, and else yes. The
    answers that came from outside go into ``used``."""
    builtin = _builtin_scopes()
    from_crds: dict[tuple[str, str], bool] = {}
    for raw in raws:
        if isinstance(raw.value, dict) and raw.value.get("kind") == "CustomResourceDefinition":
            spec = raw.value.get("spec")
            names = spec.get("names") if isinstance(spec, dict) else None
            if isinstance(spec, dict) and isinstance(names, dict):
                from_crds[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") != "Cluster"

    def namespaced(group: str, kind: str) -> bool:
        known = builtin.get((group, kind), from_crds.get((group, kind)))
        if known is not None:
            return known
        name = f"{group}/{kind}"
        used[name] = request.namespaced.get(name, True)
        return used[name]

    return namespaced


def find_duplicates(prepared: Iterable[Prepared], found: Findings) -> None:
    first: dict[ObjectRef, Raw] = {}
    for one in prepared:
        if one.notes.hook:
            # A hook is not applied; charts write an object as a hook and once more as a manifest.
            continue
        before = first.setdefault(one.ref, one.raw)
        if before is not one.raw:
            places = " and ".join(f"{raw.file}:{raw.line}" if raw.line else raw.file for raw in (before, one.raw))
            found.add(
                Problem(
                    f"{one.ref.full} is written twice, in {places}",
                    one.raw.file,
                    one.raw.line,
                    hint="take one of the two out",
                    slug="duplicate-object",
                    ref=one.ref,
                )
            )


# --- objects to what is applied -------------------------------------------------------------------------------------


def to_desired(request: RenderRequest, prepared: Sequence[Prepared], last_changed: LastChanged) -> list[Desired]:
    commits = last_changed(sorted({one.raw.file for one in prepared if one.raw.tracked})) if prepared else {}
    encode = msgspec.json.Encoder(order="sorted").encode
    made = []
    for one in prepared:
        ref, metadata = one.ref, one.metadata
        content = one.content
        content["metadata"] = metadata
        plain = encode(content)
        secret = ref.kind == "Secret" and not ref.group
        digest = _digest(plain, request.digest_key if secret else b"")
        origin = Origin(request.repository, commits.get(one.raw.file, request.commit), one.raw.file, one.raw.line)
        body = encode(_marked(content, metadata, request.label, origin, digest)) if request.label else plain
        note = one.notes
        made.append(
            Desired(
                ref,
                one.api_version,
                note.wave,
                tier(ref.group, ref.kind),
                digest,
                origin,
                body,
                note.conflicts,
                note.drift,
                note.release,
                note.hook,
            )
        )
    made.sort(key=lambda one: (one.wave, one.tier, one.ref))
    return made


def _digest(plain: bytes, key: bytes) -> str:
    """20 hexadecimal digits over the canonical JSON; keyed for Secrets, whose values nobody may guess by trying."""
    made = hmac.new(key, plain, hashlib.sha256) if key else hashlib.sha256(plain)
    return made.hexdigest()[:20]


def _marked(
    content: dict[str, Any], metadata: dict[str, Any], label: str, origin: Origin, digest: str
) -> dict[str, Any]:
    labels = {**metadata.get("labels", {}), ownership.LABEL: label}
    given = metadata.get("annotations", {})
    annotations = {**given, ownership.ORIGIN: str(origin), ownership.APPLIED: digest}
    return {**content, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
