"""Push hooks of registries as each of them sends them: what they name, and how they show that they may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from windlass.core.images import pushed
from windlass.flows.automator import shown

TOKEN = b"token-of-the-hook"
TARGET = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "acme/shop", "tag": "1.4.2"}
ACME = {"id": 1, "login": "acme", "username": "acme"}
VERSION = {"version": "sha256:0a", "package_url": "ghcr.io/acme/shop:1.4.2"}
RESOURCES = [{"digest": "sha256:0a", "tag": "1.4.2", "resource_url": "harbor.example.com/acme/shop:1.4.2"}]
HARBOR = {"name": "shop", "namespace": "acme", "repo_full_name": "acme/shop", "repo_type": "private"}

SENT: dict[str, dict[str, Any]] = {
    "distribution": {"events": [{"id": "1", "action": "push", "target": TARGET, "request": {"host": "r.example.com"}}]},
    "GitLab": {"events": [{"id": "2", "action": "push", "target": TARGET, "actor": {"user_type": "build"}}]},
    "Docker Hub": {
        "callback_url": "https://registry.hub.docker.com/u/acme/shop/hook/1/",
        "push_data": {"pushed_at": 1800000000, "pusher": "ada", "tag": "1.4.2"},
        "repository": {"name": "shop", "namespace": "acme", "repo_name": "acme/shop", "status": "Active"},
    },
    "GHCR": {
        "action": "published",
        "registry_package": {
            "name": "shop",
            "namespace": "acme",
            "package_type": "CONTAINER",
            "owner": ACME,
            "package_version": VERSION,
        },
        "repository": {"full_name": "acme/shop-code"},
    },
    "GHCR, package": {
        "action": "published",
        "package": {"name": "shop", "owner": ACME, "package_type": "CONTAINER", "package_version": VERSION},
    },
    "Harbor": {
        "type": "PUSH_ARTIFACT",
        "occur_at": 1800000000,
        "operator": "robot$ci",
        "event_data": {"resources": RESOURCES, "repository": HARBOR},
    },
    "Harbor, CloudEvents": {
        "specversion": "1.0",
        "id": "3",
        "source": "/projects/1/webhook/policies/1",
        "type": "harbor.artifact.pushed",
        "datacontenttype": "application/json",
        "data": {"resources": RESOURCES, "repository": HARBOR},
        "operator": "robot$ci",
    },
    "Quay": {
        "name": "shop",
        "repository": "acme/shop",
        "namespace": "acme",
        "docker_url": "quay.io/acme/shop",
        "homepage": "https://quay.io/repository/acme/shop",
        "updated_tags": ["1.4.2"],
    },
    "Gitea": {
        "action": "created",
        "package": {"id": 1, "owner": ACME, "creator": ACME, "name": "shop", "type": "container", "version": "1.4.2"},
        "organization": ACME,
        "sender": ACME,
    },
}


@pytest.mark.parametrize("sender", SENT)
def test_each_registry_names_what_was_pushed(sender: str) -> None:
    assert pushed(json.dumps(SENT[sender]).encode()) == ["acme/shop"]


@pytest.mark.parametrize("action", ["pull", "delete", "mount"])
def test_what_was_only_pulled_or_deleted_was_not_pushed(action: str) -> None:
    assert pushed(json.dumps({"events": [{"action": action, "target": TARGET}]}).encode()) == []


def signed(body: bytes) -> str:
    return hmac.new(TOKEN, body, hashlib.sha256).hexdigest()


def headers(sender: str, body: bytes, token: bytes = TOKEN) -> tuple[dict[str, str], str]:
    """How each shows the token: its headers, and the query of the address."""
    match sender.partition(",")[0]:
        case "GHCR":
            made = hmac.new(token, body, hashlib.sha256).hexdigest()
            return {"x-hub-signature-256": f"sha256={made}", "x-github-event": "registry_package"}, ""
        case "Gitea":
            return {"x-gitea-signature": hmac.new(token, body, hashlib.sha256).hexdigest()}, ""
        case "GitLab":
            return {"x-gitlab-token": token.decode()}, ""
        case "Docker Hub" | "Quay":
            return {}, f"token={token.decode()}"
        case "Harbor":
            return {"authorization": token.decode()}, ""
        case _:
            return {"authorization": f"Bearer {token.decode()}"}, ""


@pytest.mark.parametrize("sender", SENT)
def test_each_registry_shows_the_token_in_its_own_way_and_no_other_is_taken(sender: str) -> None:
    body = json.dumps(SENT[sender]).encode()
    assert shown(TOKEN, *headers(sender, body), body)
    assert not shown(TOKEN, *headers(sender, body, b"another-token"), body)
    assert not shown(TOKEN, {}, "", body)


def test_a_signature_is_good_for_its_own_body_alone_and_a_password_is_a_token() -> None:
    body = b"{}"
    assert not shown(TOKEN, {"x-hub-signature-256": f"sha256={signed(body)}"}, "", b"{ }")
    assert not shown(TOKEN, {"x-gitea-signature": signed(body)}, "", b"{ }")
    basic = base64.b64encode(b"ada:" + TOKEN).decode()
    assert shown(TOKEN, {"authorization": f"Basic {basic}"}, "", body)
    # Who shows a wrong signature is not asked for anything else.
    assert not shown(TOKEN, {"x-hub-signature-256": "sha256=00"}, f"token={TOKEN.decode()}", body)
