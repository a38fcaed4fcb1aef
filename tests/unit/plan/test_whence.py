"""Where a value was written: certain in the object's own manifest, a guess through overlays and values."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.core.model import ObjectRef
from windlass.core.plan.whence import Place, is_absent, resolved, steps_of, whence

WEB = ObjectRef("apps", "Deployment", "shop", "web")
BASE = b"""\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  template: {spec: {containers: [{name: web, image: acme/shop}]}}
"""
FILES = {
    "base/web.yaml": BASE,
    "base/kustomization.yaml": b"resources: [web.yaml]\n",
    "prod/patch.yaml": BASE.replace(b"replicas: 2", b"replicas: 5").replace(b"acme/shop", b"acme/shop:9"),
    "prod/kustomization.yaml": b"resources: [../base]\nimages:\n- name: acme/shop\n  newTag: 1.4.2\n"
    b"replicas:\n- name: web\n  count: 7\n",
    "chart/values.yaml": b"web:\n  replicaCount: 3\n  level: debug\n",
    "chart/templates/web.yaml": b"replicas: {{ .Values.web.replicaCount }}\n",
}
IMAGE = "spec.template.spec.containers[name=web].image"


@pytest.mark.parametrize(
    ("field", "value", "file", "line", "rank"),
    [
        ("spec.replicas", 2, "base/web.yaml", 5, 0),
        ("/spec/replicas", 5, "prod/patch.yaml", 5, 1),
        ("spec.replicas", 7, "prod/kustomization.yaml", 7, 2),
        (IMAGE, "acme/shop:1.4.2", "prod/kustomization.yaml", 4, 2),
        (IMAGE, "acme/shop:9", "prod/patch.yaml", 6, 1),
        ("spec.replicas", 3, "chart/values.yaml", 2, 4),
        ("data.level", "debug", "chart/values.yaml", 3, 3),
    ],
)
def test_a_value_is_found_where_it_was_written(field: str, value: Any, file: str, line: int, rank: int) -> None:
    first = whence(FILES, "base/web.yaml", WEB, steps_of(field), value)[0]
    assert (first.file, first.line, first.rank) == (file, line, rank)


def test_what_no_file_has_is_nowhere() -> None:
    assert whence(FILES, "base/web.yaml", WEB, steps_of("spec.replicas"), 99) == []
    assert whence({"a.yaml": b"{broken"}, "a.yaml", WEB, steps_of("spec.replicas"), 1) == []


PATCHED = b"""\
resources: [../base]
patches:
- patch: |-
    # five is enough
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      revisionHistoryLimit: 5
- target: {kind: Deployment, name: web}
  patch: |
    - op: replace
      path: /spec/minReadySeconds
      value: 7
- target: {kind: Deployment, name: other}
  patch: "- {op: replace, path: /spec/minReadySeconds, value: 9}\\n"
"""


@pytest.mark.parametrize(("field", "value", "line"), [("revisionHistoryLimit", 5, 9), ("minReadySeconds", 7, 14)])
def test_a_patch_written_in_the_kustomization_is_found(field: str, value: Any, line: int) -> None:
    files = {**FILES, "prod/kustomization.yaml": PATCHED}
    assert whence(files, "base/web.yaml", WEB, steps_of(f"spec.{field}"), value) == [
        Place(1, "prod/kustomization.yaml", line, "a patch of the object")
    ]
    assert whence(files, "base/web.yaml", WEB, steps_of("spec.minReadySeconds"), 9) == []


def test_a_manifest_that_an_overlay_renames_is_found() -> None:
    renamed = ObjectRef("apps", "Deployment", "shop", "prod-web")
    assert whence(FILES, "base/web.yaml", renamed, steps_of("spec.replicas"), 2) == [
        Place(1, "base/web.yaml", 5, "the manifest that an overlay renames")
    ]


def test_fields_are_read_as_diff_and_pointers_write_them() -> None:
    assert steps_of("a.b[name=x,port=1].c") == ["a", "b", {"name": "x", "port": "1"}, "c"]
    assert steps_of("/metadata/annotations/a~1b") == ["metadata", "annotations", "a/b"]
    value, path = resolved({"a": [{"n": 1}, {"n": 2, "v": 3}]}, ["a", {"n": "2"}, "v"])
    assert (value, path) == (3, ("a", 1, "v"))
    assert is_absent(resolved({"a": []}, ["a", "0"])[0])
