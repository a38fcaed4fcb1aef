"""Resources without objects: access reviews, token reviews, who am I, and the health of components.

Called by ``http.py`` for resources that only know ``create`` (and componentstatuses).
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.apiserver import clock, views
from windlass.devstack.apiserver.auth import AUDIENCES, Authenticator
from windlass.devstack.apiserver.errors import not_allowed, not_found
from windlass.devstack.apiserver.rbac import Attributes, Authorizer
from windlass.devstack.apiserver.request import Call, User
from windlass.devstack.apiserver.verbs import Answer

Object = dict[str, Any]
_COMPONENTS = ("scheduler", "controller-manager", "etcd-0")


class Reviews:
    """See the module's head."""

    def __init__(self, authorizer: Authorizer, authenticator: Authenticator) -> None:
        self._authorizer = authorizer
        self._authenticator = authenticator

    async def serve(self, call: Call) -> Answer:
        """The answer to a call on one of these resources."""
        if call.resource.plural == "componentstatuses":
            return self._components(call)
        if call.resource.plural == "bindings":
            raise not_allowed()
        body, _ = call.document()
        spec: Object = body.get("spec") or {}
        kind = call.resource.kind
        answer: Object = {"kind": kind, "apiVersion": call.resource.api_version, "metadata": body.get("metadata") or {}}
        if kind == "SelfSubjectReview":
            answer["metadata"] = {"creationTimestamp": clock.stamp()}
            answer["status"] = {"userInfo": user_info(call.user)}
        elif kind == "TokenReview":
            answer |= {"spec": spec, "status": self._token(spec)}
        elif kind == "SelfSubjectRulesReview":
            answer |= {"spec": {}, "status": self._rules(call.user, spec.get("namespace") or "")}
        else:
            user = call.user if kind == "SelfSubjectAccessReview" else _subject(spec)
            answer |= {"spec": spec, "status": self._access(user, spec)}
        return Answer(201, views.finish(views.encode(answer), call.form), call.form.media)

    def _access(self, user: User, spec: Object) -> Object:
        wanted = spec.get("resourceAttributes")
        if wanted:
            plural = wanted.get("resource") or ""
            if wanted.get("subresource"):
                plural = f"{plural}/{wanted['subresource']}"
            attributes = Attributes(
                wanted.get("verb") or "",
                wanted.get("group") or "",
                plural,
                wanted.get("namespace") or "",
                wanted.get("name") or "",
                wanted.get("version") or "",
            )
            allowed = self._authorizer.allows(user, attributes)
        else:
            path = spec.get("nonResourceAttributes") or {}
            allowed = self._authorizer.allows_path(user, path.get("verb") or "", path.get("path") or "")
        return {"allowed": allowed}

    def _token(self, spec: Object) -> Object:
        user = self._authenticator.user_of(str(spec.get("token") or ""))
        if user is None:
            return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        return {"authenticated": True, "user": user_info(user), "audiences": list(spec.get("audiences") or AUDIENCES)}

    def _rules(self, user: User, namespace: str) -> Object:
        resources, others = [], []
        for rule in self._authorizer.rules(user, namespace):
            if rule.get("resources"):
                names = ("verbs", "apiGroups", "resources", "resourceNames")
                resources.append({name: rule[name] for name in names if rule.get(name)})
            if rule.get("nonResourceURLs"):
                others.append({name: rule[name] for name in ("verbs", "nonResourceURLs")})
        return {"resourceRules": resources, "nonResourceRules": others, "incomplete": False}

    def _components(self, call: Call) -> Answer:
        conditions = [{"type": "Healthy", "status": "True", "message": "ok"}]
        items = [{"metadata": {"name": name}, "conditions": conditions} for name in _COMPONENTS]
        answer: Object = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
        if call.name:
            found = next((item for item in items if item["metadata"] == {"name": call.name}), None)
            if found is None:
                raise not_found("", "componentstatuses", call.name)
            answer = {"kind": "ComponentStatus", "apiVersion": "v1", **found}
        return Answer(200, views.finish(views.encode(answer), call.form), call.form.media)


def user_info(user: User) -> Object:
    """UserInfo of a user."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


def _subject(spec: Object) -> User:
    return User(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "")
