"""Where images stand, and the edit that moves them: only the bytes of the values change."""

from __future__ import annotations

import pytest

from windlass.core.documents import EditRefused, read
from windlass.core.images import Goal, Move, Wanted, find

SHA = "sha256:" + "b" * 64
OLD = "sha256:" + "a" * 64
SHOP = Wanted(key="apps/shop", image=("registry.example.com", "acme/shop"))
OTHER = Wanted(key="apps/other", image=("docker.io", "acme/other"))
CHART = Wanted(key="apps/redis", chart=("https://charts.example.com", "redis"))


def move(text: str, *, file: str = "shop.yaml", pin: str = "tag", wanted: Wanted = SHOP, **goal: object) -> str:
    step = Move(file=file, goals=(Goal(wanted=wanted, tag="1.4.2", digest=SHA, pin=pin, **goal),))  # type: ignore[arg-type]
    after = step.after(text.encode())
    assert after is not None
    # What is there already is not moved again.
    assert step.after(after) == after or goal
    return after.decode()


DEPLOYMENT = """\
# The shop.
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      initContainers:
        - {name: init, image: 'registry.example.com/acme/shop:1.4.1'}   # same image
      containers:
        - name: web
          image:   registry.example.com/acme/shop:1.4.1  # keep up
        - name: side
          image: registry.example.com/acme/shop-sidecar:1.4.1
"""


def test_containers_of_a_workload_are_moved_and_nothing_else() -> None:
    after = move(DEPLOYMENT)
    assert after == DEPLOYMENT.replace("acme/shop:1.4.1", "acme/shop:1.4.2")


@pytest.mark.parametrize(
    ("pin", "written"), [("tag", ":1.4.2"), ("digest", f"@{SHA}"), ("tag+digest", f":1.4.2@{SHA}")]
)
def test_a_pin_says_which_parts_are_written(pin: str, written: str) -> None:
    text = "a:\n  containers: [{image: registry.example.com/acme/shop}]\n"
    after = move(text, pin=pin)
    assert (
        read(after.encode(), "f")[0].value["a"]["containers"][0]["image"] == f"registry.example.com/acme/shop{written}"
    )


def test_windows_line_ends_byte_order_mark_and_json_stay_as_they_are() -> None:
    text = "\ufeff" + DEPLOYMENT.replace("\n", "\r\n")
    assert move(text) == text.replace("acme/shop:1.4.1", "acme/shop:1.4.2")
    text = '{"kind": "Pod", "spec": {"containers": [{"image":"registry.example.com/acme/shop:1.4.1"}]}}'
    assert move(text) == text.replace(":1.4.1", ":1.4.2")


def test_workloads_of_any_kind_and_inside_lists_are_found() -> None:
    text = """\
kind: List
items:
- kind: CronJob
  spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: registry.example.com/acme/shop:1}]}}}}}
- kind: Rollout
  apiVersion: argoproj.io/v1alpha1
  spec: {template: {spec: {ephemeralContainers: [{image: registry.example.com/acme/shop:1}]}}}
---
kind: Pod
spec: {containers: [{image: registry.example.com/acme/shop:1}]}
"""
    assert [(place.index, place.form) for place in find("f", text.encode(), [SHOP])] == [(0, "reference")] * 2 + [
        (1, "reference")
    ]
    assert move(text).count("acme/shop:1.4.2") == 3


def test_an_image_in_a_custom_kind_is_found_by_its_field() -> None:
    text = "apiVersion: x/v1\nkind: Prometheus\nspec:\n  image: registry.example.com/acme/shop:1\n"
    assert move(text) == text
    rule = Wanted(key="apps/shop", image=SHOP.image, fields=(("Prometheus", ("spec", "image")),))
    assert move(text, wanted=rule) == text.replace("shop:1", "shop:1.4.2")


def test_a_kustomization_is_moved_by_newtag_and_digest() -> None:
    text = """\
images:
- name: shop
  newName: registry.example.com/acme/shop
  newTag: "1.4.1" # was 1.4.0
- name: registry.example.com/acme/shop
  digest: {old}
- name: other
  newTag: "1"
""".replace("{old}", OLD)
    after = move(text, file="apps/kustomization.yaml")
    assert '  newTag: "1.4.2" # was 1.4.0\n' in after
    assert read(after.encode(), "f")[0].value["images"][1] == {
        "name": "registry.example.com/acme/shop",
        "newTag": "1.4.2",
    }
    assert '- name: other\n  newTag: "1"\n' in after
    both = move(text, file="kustomization.yml", pin="tag+digest")
    assert read(both.encode(), "f")[0].value["images"][0]["digest"] == SHA
    # In another file such a list means nothing.
    assert move(text, file="notes.yaml") == text


def test_values_of_a_chart_are_moved_by_their_tag() -> None:
    text = """\
web:
  image:
    registry: registry.example.com
    repository: acme/shop
    tag: 1.4
    pullPolicy: Always
worker:
  image: {repository: registry.example.com/acme/shop, tag: 1.4.1, digest: ""}
other:
  image: {repository: acme/shop, tag: "1.4.1"}
"""
    after = move(text)
    # Plain stays plain, but where a reader might take it for a number.
    assert "    tag: 1.4.2\n    pullPolicy: Always\n" in after
    assert 'worker:\n  image: {repository: registry.example.com/acme/shop, tag: 1.4.2, digest: ""}\n' in after
    assert after.endswith('other:\n  image: {repository: acme/shop, tag: "1.4.1"}\n')
    values = read(move(text, pin="tag+digest").encode(), "f")[0].value
    assert values["web"]["image"]["tag"] == f"1.4.2@{SHA}"
    assert (values["worker"]["image"]["tag"], values["worker"]["image"]["digest"]) == ("1.4.2", SHA)
    assert read(move(move(text, pin="tag+digest")).encode(), "f")[0].value["web"]["image"]["tag"] == "1.4.2"


def test_a_version_of_a_chart_is_moved_beside_its_name() -> None:
    text = """\
spec:
  source:
    chart: {repository: https://charts.example.com/, name: redis, version: 1.4.1}
---
dependencies:
- name: redis
  version: "~1.4"
  repository: https://charts.example.com
- name: redis
  version: 1.0.0
  repository: https://elsewhere.example.com
"""
    after = move(text, wanted=CHART)
    assert "name: redis, version: 1.4.2}" in after
    assert '  version: "1.4.2"\n' in after
    assert "  version: 1.0.0\n" in after


MARKED = """\
env:
- name: IMAGE
  value: registry.example.com/acme/shop:1.4.1 # {"$imagepolicy": "apps:shop"}
- name: TAG
  value: "1.4.1" # {"$imagepolicy": "apps:shop:tag"}
- {name: OTHER, value: v1} # windlass: other:tag
- name: NAME
  value: acme/moved # {"$imagepolicy": "apps:shop:name"}
- name: FOREIGN
  value: "1.4.1" # {"$imagepolicy": "elsewhere:shop:tag"}
text: |
  value: 1.4.1 # {"$imagepolicy": "apps:shop:tag"}
"""


def test_a_mark_in_a_comment_is_enough_wherever_it_stands() -> None:
    after = move(MARKED)
    lines = after.splitlines()
    assert lines[2] == '  value: registry.example.com/acme/shop:1.4.2 # {"$imagepolicy": "apps:shop"}'
    assert lines[4] == '  value: "1.4.2" # {"$imagepolicy": "apps:shop:tag"}'
    assert lines[7] == '  value: registry.example.com/acme/shop # {"$imagepolicy": "apps:shop:name"}'
    assert lines[9:] == MARKED.splitlines()[9:]
    assert "value: 1.4.2}" in move(MARKED, wanted=OTHER)


def test_a_mark_of_another_policy_keeps_the_structure_from_deciding() -> None:
    text = "containers:\n- image: registry.example.com/acme/shop:1.4.1 # windlass: other\n"
    places = find("f", f"spec:\n  {text.replace(chr(10), chr(10) + '  ')}".encode(), [SHOP, OTHER])
    assert [(place.policy, place.marked) for place in places] == [("apps/other", True)]


def test_a_mark_of_a_policy_that_is_not_asked_for_keeps_the_structure_from_deciding_too() -> None:
    mark = '# {"$imagepolicy": "apps:shop-production"}'
    image = "registry.example.com/acme/shop"
    text = f"containers:\n- image: {image}:1.4.1 {mark}\n- image: {image}:1\n"
    assert [place.path for place in find("f", text.encode(), [SHOP])] == [("containers", 1, "image")]
    values = f'image:\n  repository: {image}\n  tag: 1.4.1 # {{"$imagepolicy": "apps:other:tag"}}\n'
    assert find("values.yaml", values.encode(), [SHOP]) == []
    item = (
        f'images:\n- name: registry.example.com/acme/shop\n  digest: {OLD} # {{"$imagepolicy": "apps:other:digest"}}\n'
    )
    assert find("kustomization.yaml", item.encode(), [SHOP]) == []


OVERRIDES = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
spec:
  path: ./apps
  images:
    - name: shop   # of the base
      newName: registry.example.com/acme/shop
      newTag: "1.4.1"
    - name: docker.io/acme/other
      newTag: 1.4.1
---
apiVersion: argoproj.io/v1alpha1
kind: Application
spec:
  source:
    kustomize:
      images:
        - registry.example.com/acme/shop:1.4.1
        - shop=registry.example.com/acme/shop:1.4.1   # renamed
        - acme/other:1.4.1
  images: [registry.example.com/acme/shop:1.4.1]
"""


def test_objects_of_flux_and_argo_cd_that_build_a_kustomization_are_moved() -> None:
    after = move(OVERRIDES)
    wanted = OVERRIDES.replace('newTag: "1.4.1"', 'newTag: "1.4.2"').replace("/acme/shop:1.4.1", "/acme/shop:1.4.2", 2)
    assert after == wanted
    pinned = move(OVERRIDES, pin="tag+digest")
    assert f"- shop=registry.example.com/acme/shop:1.4.2@{SHA}   # renamed\n" in pinned


def test_what_a_person_changed_since_stays_as_they_wrote_it() -> None:
    text = "a: {containers: [{image: registry.example.com/acme/shop:1.3.0}]}\n"
    seen = frozenset({"registry.example.com/acme/shop:1.4.1"})
    assert move(text, seen=seen) == text
    assert move(text.replace("1.3.0", "1.4.1"), seen=seen) == text.replace("1.3.0", "1.4.2")


def test_a_file_that_went_away_is_left_away() -> None:
    assert Move(file="f.yaml", goals=(Goal(wanted=SHOP, tag="1"),)).after(None) is None


def test_templates_and_aliases_are_no_places() -> None:
    text = """\
x: &tag "1.4.1"
containers:
- image: "{{ .Values.image }}"
image: {repository: registry.example.com/acme/shop, tag: *tag}
"""
    assert [place.form for place in find("f", text.encode(), [SHOP])] in ([], ["values"])


def test_an_anchor_stays_and_what_stands_for_it_by_an_alias_moves_with_it() -> None:
    text = """\
spec:
  containers:
    - image: &own registry.example.com/acme/shop:1.4.1
  initContainers:
    - image: *own   # the same
"""
    assert move(text) == text.replace("1.4.1", "1.4.2")
    alone = "containers:\n  - image: &own !!str registry.example.com/acme/shop:1.4.1  # here\n"
    assert move(alone) == alone.replace("1.4.1", "1.4.2")
    values = """\
base: &base
  repository: registry.example.com/acme/shop
  tag: "1.4.1"
web: {image: *base}
jobs:
  image:
    <<: *base
    pullPolicy: Always
"""
    assert move(values) == values.replace("1.4.1", "1.4.2")


def test_a_mark_behind_an_anchor_means_its_aliases_too() -> None:
    text = """\
x-image: &image registry.example.com/acme/shop:1.4.1 # {"$imagepolicy": "apps:shop"}
x-tag: &tag '1.4.1' # {"$imagepolicy": "apps:shop:tag"}
spec:
  containers:
    - image: *image
      env: [{name: VERSION, value: *tag}]
"""
    assert move(text) == text.replace("1.4.1", "1.4.2")


def test_what_else_an_alias_of_an_image_says_is_not_changed_without_a_mark() -> None:
    text = "shop: {repository: registry.example.com/acme/shop, tag: &v 1.4.1}\nother: {repository: acme/db, tag: *v}\n"
    with pytest.raises(EditRefused):
        move(text)


def test_the_version_of_a_chart_is_found_in_applications_of_argo_cd() -> None:
    text = """\
kind: Application
spec:
  sources:
    - {repoURL: https://charts.example.com/, chart: redis, targetRevision: 1.4.1}   # here
    - {repoURL: https://charts.example.com, chart: other, targetRevision: 1.4.1.0}
    - {repoURL: https://git.example.com/acme.git, path: redis, targetRevision: main}
"""
    assert move(text, wanted=CHART) == text.replace("1.4.1}   #", "1.4.2}   #")
    oci = Wanted(key="apps/redis", chart=("oci://ghcr.io/acme/charts", "redis"))
    text = "source:\n  chart: redis\n  repoURL: ghcr.io/acme/charts\n  targetRevision: '1.4.1'\n"
    assert move(text, wanted=oci) == text.replace("1.4.1", "1.4.2")


@pytest.mark.parametrize(
    "mark", ["windlass: redis", '{"$imagepolicy": "apps:redis:tag"}', '{"$imagepolicy": "apps:redis"}']
)
def test_a_mark_behind_the_version_of_a_chart_means_the_version(mark: str) -> None:
    text = f"chart:\n  spec:\n    chart: redis\n    version: 1.4.1 # {mark}\n"
    assert move(text, wanted=CHART) == text.replace("1.4.1", "1.4.2")
