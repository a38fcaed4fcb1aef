"""Who may do what: the RBAC of Roles, ClusterRoles and their bindings, read from the store.

Called by ``http.py`` for each request and by the access reviews. Compiled bindings are kept until one of the four
resources changes. Granting oneself more than one has (escalation) is not refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from windlass.devstack.apiserver.request import User
from windlass.devstack.apiserver.store import Store

_GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{_GROUP}", f"clusterroles.{_GROUP}"
BINDINGS, CLUSTER_BINDINGS = f"rolebindings.{_GROUP}", f"clusterrolebindings.{_GROUP}"
MASTERS = "system:masters"

Rule = dict[str, Any]
Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do. ``resource`` has its subresource, as ``pods/log``."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    version: str = ""


class Authorizer:
    """Answers from the bindings in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stamp: tuple[int, ...] = ()
        self._everywhere: dict[Subject, list[Rule]] = {}
        self._inside: dict[tuple[str, Subject], list[Rule]] = {}

    def allows(self, user: User, wanted: Attributes) -> bool:
        """Whether a user may do it to a resource."""
        if MASTERS in user.groups:
            return True
        return any(_covers(rule, wanted) for rule in self.rules(user, wanted.namespace))

    def allows_path(self, user: User, verb: str, path: str) -> bool:
        """Whether a user may do it to a path that is no resource."""
        if MASTERS in user.groups:
            return True
        return any(_covers_path(rule, verb, path) for rule in self.rules(user, ""))

    def rules(self, user: User, namespace: str) -> Iterator[Rule]:
        """All rules that a user has, in a namespace besides those of the whole cluster."""
        self._compile()
        subjects: list[Subject] = [("User", user.name), *(("Group", group) for group in user.groups)]
        for subject in subjects:
            yield from self._everywhere.get(subject, ())
            if namespace:
                yield from self._inside.get((namespace, subject), ())

    def _compile(self) -> None:
        stamp = tuple(self._store.changed(shelf) for shelf in (ROLES, CLUSTER_ROLES, BINDINGS, CLUSTER_BINDINGS))
        if stamp == self._stamp:
            return
        self._everywhere.clear()
        self._inside.clear()
        for item in self._store.items(CLUSTER_BINDINGS):
            rules = self._rules_of(item.obj, "")
            for subject in _subjects(item.obj):
                self._everywhere.setdefault(subject, []).extend(rules)
        for item in self._store.items(BINDINGS):
            rules = self._rules_of(item.obj, item.namespace)
            for subject in _subjects(item.obj):
                self._inside.setdefault((item.namespace, subject), []).extend(rules)
        self._stamp = stamp

    def _rules_of(self, binding: dict[str, Any], namespace: str) -> list[Rule]:
        reference = binding.get("roleRef") or {}
        if reference.get("kind") == "Role":
            item = self._store.get(ROLES, namespace, reference.get("name", ""))
            return [] if item is None else list(item.obj.get("rules") or [])
        item = self._store.get(CLUSTER_ROLES, "", reference.get("name", ""))
        return [] if item is None else list(self.cluster_rules(item.obj))

    def cluster_rules(self, role: dict[str, Any]) -> Iterable[Rule]:
        """The rules of a ClusterRole, its aggregated ones included."""
        rules = list(role.get("rules") or [])
        for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []:
            wanted = (selector.get("matchLabels") or {}).items()
            for item in self._store.items(CLUSTER_ROLES):
                labels = item.obj["metadata"].get("labels") or {}
                if wanted and all(labels.get(key) == value for key, value in wanted):
                    rules += item.obj.get("rules") or []
        return rules


def _subjects(binding: dict[str, Any]) -> Iterator[Subject]:
    for subject in binding.get("subjects") or []:
        if subject.get("kind") == "ServiceAccount":
            space = subject.get("namespace") or binding["metadata"].get("namespace", "")
            yield "User", f"system:serviceaccount:{space}:{subject.get('name')}"
        else:
            yield subject.get("kind", ""), subject.get("name", "")


def _covers(rule: Rule, wanted: Attributes) -> bool:
    verbs, groups = rule.get("verbs") or (), rule.get("apiGroups") or ()
    if (wanted.verb not in verbs and "*" not in verbs) or (wanted.group not in groups and "*" not in groups):
        return False
    resources = rule.get("resources") or ()
    part = wanted.resource.partition("/")[2]
    if wanted.resource not in resources and "*" not in resources and not (part and f"*/{part}" in resources):
        return False
    names = rule.get("resourceNames")
    return not names or wanted.name in names


def _covers_path(rule: Rule, verb: str, path: str) -> bool:
    verbs = rule.get("verbs") or ()
    if verb not in verbs and "*" not in verbs:
        return False
    return any(
        known == path or (known.endswith("*") and path.startswith(known[:-1]))
        for known in rule.get("nonResourceURLs") or ()
    )
