"""Who is let in, and to what."""

from __future__ import annotations

from typing import Any

from unit.apiserver.conftest import Client

RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


async def allow(client: Client, verbs: list[str], resources: list[str], **rule: Any) -> None:
    rules = [{"apiGroups": [""], "verbs": verbs, "resources": resources, **rule}]
    await client.make(f"{RBAC}/namespaces/default/roles", "reader", rules=rules)
    subjects = [{"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}]
    role = {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}
    await client.make(f"{RBAC}/namespaces/default/rolebindings", "reader", roleRef=role, subjects=subjects)


async def test_a_token_that_nobody_has_is_refused(client: Client) -> None:
    answer = await client("GET", MAPS, token="wrong")
    assert (answer.code, answer.json["message"]) == (401, "Unauthorized")


async def test_without_a_token_one_sees_the_version_and_nothing_else(client: Client) -> None:
    assert (await client("GET", "/version", token="")).json["gitVersion"] == "v1.36.3"
    assert (await client("GET", "/readyz", token="")).body == b"ok"
    answer = await client("GET", "/api/v1/pods", token="")
    words = (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope'
    )
    assert (answer.code, answer.json["message"]) == (403, words)
    path = await client("GET", "/api", token="")
    assert path.json["message"] == 'forbidden: User "system:anonymous" cannot get path "/api"'


async def test_a_role_gives_what_it_says_in_its_namespace(client: Client) -> None:
    await client.make(MAPS, "a")
    denied = await client("GET", f"{MAPS}/a", token="bob")
    why = 'User "bob" cannot get resource "configmaps" in API group "" in the namespace "default"'
    words = f'configmaps "a" is forbidden: {why}'
    assert (denied.code, denied.json["message"]) == (403, words)
    await allow(client, ["get"], ["configmaps"])
    assert (await client("GET", f"{MAPS}/a", token="bob")).code == 200
    assert (await client("DELETE", f"{MAPS}/a", token="bob")).code == 403
    assert (await client("GET", "/api/v1/namespaces/kube-system/configmaps/a", token="bob")).code == 403


async def test_resource_names_narrow_a_rule(client: Client) -> None:
    await allow(client, ["get", "update"], ["configmaps"], resourceNames=["a"])
    assert (await client("GET", f"{MAPS}/a", token="bob")).code == 404
    assert (await client("GET", f"{MAPS}/b", token="bob")).code == 403


async def test_impersonation_needs_the_right_and_gives_the_others_rights(client: Client) -> None:
    refused = await client("GET", MAPS, token="bob", impersonate_user="alice")
    why = 'User "bob" cannot impersonate resource "users" in API group "" at the cluster scope'
    assert refused.json["message"] == f'users "alice" is forbidden: {why}'
    as_alice = await client("GET", MAPS, impersonate_user="alice")
    assert 'User "alice" cannot list' in as_alice.json["message"]
    as_master = await client("GET", MAPS, impersonate_user="alice", impersonate_group="system:masters")
    assert as_master.code == 200


async def test_a_service_account_acts_with_its_token_until_it_is_gone(client: Client) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await client.make(accounts, "robot")
    asked = await client("POST", f"{accounts}/robot/token", {"spec": {"expirationSeconds": 3600}})
    token = asked.json["status"]["token"]
    me = await client("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token)
    assert me.json["status"]["userInfo"]["username"] == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in me.json["status"]["userInfo"]["groups"]
    review = await client("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})
    assert review.json["status"]["authenticated"] is True
    head, body, signature = token.split(".")
    forged = f"{head}.{body[:-2]}AA.{signature}"
    assert (await client("GET", "/api", token=forged)).code == 401
    unsigned = f"eyJhbGciOiJub25lIn0.{body}."
    assert (await client("GET", "/api", token=unsigned)).code == 401
    await client("DELETE", f"{accounts}/robot")
    assert (await client("GET", "/api", token=token)).code == 401


async def test_one_can_ask_what_one_may_do(client: Client) -> None:
    async def may(user: str, verb: str) -> bool:
        spec = {"resourceAttributes": {"verb": verb, "resource": "configmaps", "namespace": "default"}}
        answer = await client(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec}, token=user
        )
        return bool(answer.json["status"]["allowed"])

    assert await may("admin", "delete")
    assert not await may("bob", "get")
    await allow(client, ["get"], ["configmaps"])
    assert await may("bob", "get")
    rules = await client(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}, token="bob"
    )
    assert {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]} in rules.json["status"]["resourceRules"]


async def test_cluster_roles_gather_what_they_select(client: Client) -> None:
    label = {"rbac.example.com/part": "true"}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    await client.make(f"{RBAC}/clusterroles", "part", metadata={"labels": label}, rules=rules)
    gathered = {"clusterRoleSelectors": [{"matchLabels": label}]}
    await client.make(f"{RBAC}/clusterroles", "whole", aggregationRule=gathered)
    role = {"kind": "ClusterRole", "name": "whole", "apiGroup": "rbac.authorization.k8s.io"}
    subjects = [{"kind": "Group", "name": "devs", "apiGroup": "rbac.authorization.k8s.io"}]
    await client.make(f"{RBAC}/clusterrolebindings", "whole", roleRef=role, subjects=subjects)
    assert (await client("GET", f"{MAPS}/a", token="bob")).code == 404
