"""Writes recorded from a real API server (Kubernetes 1.36.3), each with what it answered; held here without one.

A case is the live object, the request, and the answer: the ``managedFields`` that resulted (times replaced by NOW where
the write set them), or the refusal. The same stories are told to both servers, live, by the end-to-end tests.
"""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from windlass.core.manifests import resources
from windlass.core.manifests.schemas import Schema, Schemas, schema_from_crd
from windlass.core.manifests.typed import typed
from windlass.devstack.apiserver.apply import apply, reset_fields, settle, update_managers
from windlass.devstack.apiserver.errors import ApiError

RECORDED = json.loads(gzip.decompress((Path(__file__).parent / "recorded.json.gz").read_bytes()))
CASES: list[dict[str, Any]] = RECORDED["cases"]
THING = schema_from_crd(RECORDED["crd"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def schema_of(body: dict[str, Any]) -> Schema:
    if body["kind"] == "Thing":
        return THING
    schema = Schemas.builtin().kind(body["apiVersion"], body["kind"])
    assert schema is not None
    return schema


def reset_of(body: dict[str, Any], subresource: str) -> Any:
    group = body["apiVersion"].rpartition("/")[0]
    if body["kind"] == "Thing":
        return reset_fields(group, "things", subresource, custom=True)
    resource = resources.find(body["apiVersion"], body["kind"])
    assert resource is not None
    has_status = resource.subresource("status") is not None
    return reset_fields(group, resource.plural, subresource, has_status=has_status)


def write(case: dict[str, Any]) -> dict[str, Any]:
    live, body = case["live"], copy.deepcopy(case["body"])
    common: dict[str, Any] = {
        "schema": schema_of(body),
        "manager": case["manager"],
        "api_version": body["apiVersion"],
        "now": "NOW",
        "subresource": case["subresource"],
        "reset": reset_of(body, case["subresource"]),
    }
    if case["op"] == "apply":
        new = typed(apply(live, body, kind=body["kind"], force=case["force"], **common), common["schema"])
    else:
        new = update_managers(live, body, **common)
    return settle(live, new) if live is not None else new


def entries(found: list[dict[str, Any]]) -> str:
    """Entries as text: the order of entries and of fields counts, that of an entry's own keys does not."""
    return json.dumps([dict(sorted(entry.items())) for entry in found], indent=1)


@pytest.mark.parametrize("case", CASES, ids=[f"{place}-{case['what']}" for place, case in enumerate(CASES)])
def test_a_write_is_answered_as_the_real_server_answered_it(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case["live"])
    if case["code"] >= 400:
        with pytest.raises(ApiError) as refused:
            write(case)
        status = refused.value.status()
        assert status["code"] == case["code"]
        assert sorted(status["message"].split("\n")) == sorted(case["answer"]["message"].split("\n"))
        assert status.get("reason") == case["answer"]["reason"]
        causes = (status.get("details") or {}).get("causes", [])
        assert sorted(causes, key=json.dumps) == case["answer"]["causes"]
    else:
        made = write(case)
        assert entries(made["metadata"].get("managedFields", [])) == entries(case["answer"])
    assert case["live"] == before, "the live object is never changed in place"


def test_the_recording_holds_conflicts_refusals_and_every_kind_of_write() -> None:
    """A recording that lost its cases would hold nothing."""
    assert len(CASES) > 80
    assert {case["op"] for case in CASES} == {"apply", "update"}
    assert {case["code"] for case in CASES} >= {200, 201, 409, 500}
