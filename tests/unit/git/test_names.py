"""Addresses, names of refs and ranges: what is taken and what is refused."""

from __future__ import annotations

import time

import pytest

from windlass.adapters.git import Credentials, GitRefused, RefSpec, masked, parse_url
from windlass.adapters.git.refs import newest


@pytest.mark.parametrize(
    ("text", "scheme", "host"),
    [
        ("https://git.example.com/acme/config.git", "https", "git.example.com"),
        ("https://git.example.com:8443/acme/config", "https", "git.example.com"),
        ("ssh://git@git.example.com:2222/acme/config.git", "ssh", "git.example.com"),
        ("git@github.com:acme/config.git", "ssh", "github.com"),
        ("http://127.0.0.1:3000/config.git", "http", "127.0.0.1"),
        ("http://[::1]:3000/config.git", "http", "[::1]"),
        ("http://localhost/config.git", "http", "localhost"),
    ],
)
def test_an_address_is_taken(text: str, scheme: str, host: str) -> None:
    found = parse_url(text)
    assert (found.scheme, found.host, found.text) == (scheme, host, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-x",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c id",
        "ext::sh",
        "fd::7",
        "file:///etc",
        "/etc",
        "../x",
        "git://host/x",
        "ftp://host/x",
        "https://user:s3cret@host/x",
        "https://s3cret@host/x",
        "ssh://git:s3cret@host/x",
        "ssh://-oProxyCommand=id/x",
        "-oProxyCommand=id:x",
        "git@-host:x",
        "host:-x",
        "http://git.example.com/x",
        "http://10.0.0.1/x",
        "http://127.0.0.1.evil.example/x",
        "https://host/x\nevil",
        "https://host/x y",
        "https://host\x00/x",
        "https:///x",
        "https://host",
        "https://host/x?y",
        "https://host/x#y",
        "https://host:99999/x",
        "https://ho st/x",
        "https://host/" + "x" * 3000,
        "ssh://$(id)@host/x",
        "https://host\\@evil/x",
    ],
)
def test_an_address_is_refused_without_showing_a_password(text: str) -> None:
    with pytest.raises(GitRefused) as caught:
        parse_url(text)
    assert caught.value.hint
    assert "s3cret" not in str(caught.value) + caught.value.hint


def test_folders_are_taken_only_when_allowed_and_plain() -> None:
    assert parse_url("file:///srv/x.git", allow_local=True).text == "/srv/x.git"
    for text in ("/srv/../etc", "/srv/%2e%2e/x", "srv/x"):
        with pytest.raises(GitRefused):
            parse_url(text, allow_local=True)


def test_passwords_in_addresses_are_masked() -> None:
    assert masked("fatal: https://u:p@host/x and ssh://k@h") == "fatal: https://****@host/x and ssh://****@h"


@pytest.mark.parametrize(
    "name",
    [
        "-x",
        "--upload-pack=x",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "a//b",
        "/a",
        "a/",
        ".a",
        "a/.b",
        "a.lock",
        "a.",
        "@",
        "a@{1}",
        "a\n",
        "a\x00",
        "x" * 300,
    ],
)
def test_names_that_git_does_not_allow_are_refused(name: str) -> None:
    with pytest.raises(GitRefused):
        RefSpec(branch=name)
    with pytest.raises(GitRefused):
        RefSpec(tag=name)


def test_one_of_the_kinds_of_ref_is_set() -> None:
    with pytest.raises(GitRefused, match="both"):
        RefSpec(branch="main", tag="v1")
    for commit in ("HEAD", "3f2c1ab", "g" * 40, "A" * 40):
        with pytest.raises(GitRefused):
            RefSpec(commit=commit)
    assert str(RefSpec()) == "the default branch"


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (">=1.4, <2", "v1.10.0"),
        (">=1.4 <2", "v1.10.0"),
        ("1.x", "v1.10.0"),
        ("~1.4.0", "1.4.2"),
        ("*", "v2.0.0"),
        (">=2.1.0-0", "v2.1.0-rc.1"),
        ("^3", None),
        ("1.4.2", "1.4.2"),
    ],
)
def test_the_newest_tag_in_a_range_is_chosen(text: str, tag: str | None) -> None:
    assert (
        newest(["v1.10.0", "1.4.2", "v1.4.1", "v2.0.0", "v2.1.0-rc.1", "latest", "v1", "2026.11.22-x y"], text) == tag
    )


@pytest.mark.parametrize("text", ["latest", ">=a", "v1 ||| 2", "x" * 300, "-", "!!"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(GitRefused):
        RefSpec(semver=text)


def test_ten_thousand_tags_are_chosen_from_soon() -> None:
    start = time.process_time()
    assert newest([f"v1.{index // 100}.{index % 100}" for index in range(10_000)], ">=1.2 <2") == "v1.99.99"
    assert time.process_time() - start < 5


def test_a_secret_becomes_credentials_that_cannot_be_printed() -> None:
    found = Credentials.from_secret({"username": b"ada", "password": b"s3cret\n", "ca.crt": b"pem"})
    assert found.authorization() == "Basic YWRhOnMzY3JldA=="
    assert "s3cret" not in f"{found} {found!r}"
    for data in ({}, {"password": b"a\nb"}, {"bearerToken": b"\xff"}, {"token": b"x"}):
        with pytest.raises(GitRefused):
            Credentials.from_secret(data)
