"""References to images, read as Docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.images import BadReference, parse, read

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", "", ""),
        ("nginx:1.27", "docker.io", "library/nginx", "1.27", ""),
        ("acme/shop:1.4", "docker.io", "acme/shop", "1.4", ""),
        ("docker.io/nginx", "docker.io", "library/nginx", "", ""),
        ("index.docker.io/library/nginx:1", "docker.io", "library/nginx", "1", ""),
        ("ghcr.io/acme/shop", "ghcr.io", "acme/shop", "", ""),
        ("localhost/shop:1", "localhost", "shop", "1", ""),
        ("localhost:5000/acme/shop", "localhost:5000", "acme/shop", "", ""),
        (f"registry.example.com:5000/a/b/c:x@{DIGEST}", "registry.example.com:5000", "a/b/c", "x", DIGEST),
        (f"nginx@{DIGEST}", "docker.io", "library/nginx", "", DIGEST),
        ("[::1]:5000/shop:1", "[::1]:5000", "shop", "1", ""),
        ("Registry.Example.com/shop", "registry.example.com", "shop", "", ""),
    ],
)
def test_a_reference_is_read_into_its_parts(text: str, registry: str, repository: str, tag: str, digest: str) -> None:
    read_ = parse(text)
    assert (read_.registry, read_.repository, read_.tag, read_.digest) == (registry, repository, tag, digest)
    assert str(read_) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "Shop", "acme//shop", "/shop", "shop/", "shop:", "shop:a b", "shop@sha256:abc", "shop@", "a" * 600,
        "shop:{{ .Values.tag }}", "${IMAGE}", "-x/shop", "ex ample.com/shop", "shop:1@md5:" + "a" * 32, "shop\n",
        "../shop", "example.com:port/shop", "shop:" + "t" * 129,
    ],
)  # fmt: skip
def test_what_no_registry_takes_is_refused(text: str) -> None:
    with pytest.raises(BadReference, match="is not the name of an image"):
        parse(text)
    assert read(text) is None


@given(st.text(max_size=80))
def test_any_text_is_read_back_as_it_was_or_refused(text: str) -> None:
    found = read(text)
    assert found is None or str(found) == text
