"""Which object of an Application is meant by KIND/NAME, and what looks like one that is not there."""

from __future__ import annotations

import pytest

from windlass.cli.meant import Meant, among, remark
from windlass.core.model import ObjectRef
from windlass.errors import NeedsHuman

REFS = [
    ObjectRef("apps", "Deployment", "shop", "web"),
    ObjectRef("apps", "Deployment", "shop", "worker"),
    ObjectRef("", "Service", "shop", "web"),
    ObjectRef("", "ConfigMap", "elsewhere", "one"),
    ObjectRef("", "ConfigMap", "elsewhere", "two"),
    ObjectRef("", "ConfigMap", "far", "two"),
    ObjectRef("", "Namespace", "", "shop"),
]


def look(kind: str, name: str, *, unseen: tuple[str, ...] = ()) -> Meant:
    return among(REFS, kind, name, namespace="shop", word="shop", unseen=unseen)


def test_what_is_there_is_meant_however_its_kind_is_typed() -> None:
    assert look("deployment", "web") == look("Deployment", "web") == Meant("Deployment", "web")
    assert look("namespace", "shop") == Meant("Namespace", "shop")


def test_what_is_in_another_namespace_is_named_with_it_and_refused_where_it_is_in_several() -> None:
    assert look("ConfigMap", "one") == Meant("ConfigMap", "one", "elsewhere")
    with pytest.raises(NeedsHuman, match="2 times: ConfigMap/elsewhere/two, ConfigMap/far/two"):
        look("ConfigMap", "two")


@pytest.mark.parametrize(
    ("kind", "name", "alike"),
    [
        ("Deployment", "wbe", ("Deployment/web",)),
        ("StatefulSet", "web", ("Service/web", "Deployment/web")),
        ("Deployment", "nothing-like-it", ("Deployment/web", "Deployment/worker")),
        ("Job", "migrate", ()),
    ],
)
def test_what_is_not_there_is_told_with_what_looks_like_it(kind: str, name: str, alike: tuple[str, ...]) -> None:
    meant = look(kind, name)
    assert (meant.there, meant.alike) == (False, alike)
    told = remark(meant, "shop", "windlass ignore --remove")
    assert told.startswith(f"warning: shop has no {kind}/{name}: ")
    assert ("did you mean" in told) == bool(alike)


def test_of_a_kind_that_may_not_be_seen_nothing_is_said() -> None:
    meant = look("secret", "login", unseen=("Secret",))
    assert meant == Meant("Secret", "login", "", None)
    assert remark(meant, "shop", "") == ""


@pytest.mark.parametrize(("kind", "name"), [("deploy", "web"), ("Deployment", "Web"), ("Deployment", "web" * 90)])
def test_what_can_be_no_object_is_refused_with_what_looks_like_it(kind: str, name: str) -> None:
    with pytest.raises(NeedsHuman, match="can be no object of shop") as caught:
        look(kind, name)
    assert "Deployment/web" in caught.value.hint
