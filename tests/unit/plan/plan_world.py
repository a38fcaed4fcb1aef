"""A few words to make desired and live objects with, for the tests of this folder. It makes no claim about a server."""

from __future__ import annotations

import json
from typing import Any

from windlass.core.model import Desired, LiveObject, ManagedEntry, ObjectRef, Origin, Owner
from windlass.core.plan.ownership import APPLIED, LABEL, Claim

SHOP = Claim.of("apps", "shop")
OTHER = Claim.of("apps", "other")

GROUPS = {
    "Deployment": ("apps", "v1"),
    "StatefulSet": ("apps", "v1"),
    "CustomResourceDefinition": ("apiextensions.k8s.io", "v1"),
}


def ref(kind: str, name: str, namespace: str = "shop") -> ObjectRef:
    group = GROUPS.get(kind, ("", "v1"))[0]
    cluster = kind in ("Namespace", "CustomResourceDefinition")
    return ObjectRef(group, kind, "" if cluster else namespace, name)


def api_version(kind: str) -> str:
    group, version = GROUPS.get(kind, ("", "v1"))
    return f"{group}/{version}" if group else version


def body_of(desired_ref: ObjectRef, content: dict[str, Any], digest: str, label: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": desired_ref.name,
        "labels": {LABEL: label},
        "annotations": {APPLIED: digest},
    }
    if desired_ref.namespace:
        metadata["namespace"] = desired_ref.namespace
    return {"apiVersion": api_version(desired_ref.kind), "kind": desired_ref.kind, "metadata": metadata, **content}


def desired(
    kind: str = "ConfigMap",
    name: str = "web",
    *,
    content: dict[str, Any] | None = None,
    digest: str = "d1",
    wave: int = 0,
    tier: int = 5,
    line: int = 1,
    file: str = "",
    claim: Claim = SHOP,
    **more: Any,
) -> Desired:
    of = ref(kind, name)
    body = body_of(of, content if content is not None else {"data": {"a": "1"}}, digest, claim.label)
    return Desired(
        of,
        api_version(kind),
        wave,
        tier,
        digest,
        Origin("config", "3f2c1ab", file or f"apps/shop/{name}.yaml", line),
        json.dumps(body).encode(),
        **more,
    )


def fields_of(value: Any) -> dict[str, Any]:
    """fieldsV1 of a value, lists of named items by name, other lists whole."""
    fields: dict[str, Any] = {}
    for key, child in value.items():
        if isinstance(child, dict) and child:
            fields[f"f:{key}"] = fields_of(child)
        elif isinstance(child, list) and child and all(isinstance(item, dict) and "name" in item for item in child):
            fields[f"f:{key}"] = {
                "k:" + json.dumps({"name": item["name"]}, separators=(",", ":")): {".": {}, **fields_of(item)}
                for item in child
            }
        else:
            fields[f"f:{key}"] = {}
    return fields


def owned_fields(body: dict[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in body.get("metadata", {}).items() if key in ("labels", "annotations")}
    rest = {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata")}
    return fields_of({"metadata": meta, **rest} if meta else rest)


def entry(
    manager: str,
    fields: dict[str, Any],
    *,
    operation: str = "Apply",
    subresource: str = "",
    time: str = "2026-11-22T12:00:00Z",
    version: str = "v1",
) -> ManagedEntry:
    return ManagedEntry(manager, operation, subresource, time, version, json.dumps(fields).encode())


def live(
    wanted: Desired | ObjectRef,
    *,
    claim: Claim | None = SHOP,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    controller: Owner | None = None,
    others: tuple[ManagedEntry, ...] = (),
    deleting: bool = False,
    finalizers: tuple[str, ...] = (),
    version: str = "1",
    generation: int = 1,
) -> LiveObject:
    """What the cluster has after ``wanted`` was applied by ``claim`` (None: not applied by any Application)."""
    of = wanted.ref if isinstance(wanted, Desired) else wanted
    body = json.loads(wanted.body) if isinstance(wanted, Desired) else body_of(of, {"data": {"a": "1"}}, "d1", "")
    if claim is not None:
        body["metadata"]["labels"][LABEL] = claim.label
        own = (entry(claim.manager, owned_fields(body), version=api_version(of.kind)),)
        all_labels = {**body["metadata"]["labels"], **(labels or {})}
        all_annotations = {**body["metadata"]["annotations"], **(annotations or {})}
    else:
        own = ()
        all_labels, all_annotations = labels or {}, annotations or {}
    return LiveObject(
        of,
        api_version(of.kind),
        f"uid-{of.name}",
        version,
        generation,
        "2026-11-22T12:00:00Z",
        deleting,
        all_labels,
        all_annotations,
        controller,
        own + others,
        finalizers,
    )
