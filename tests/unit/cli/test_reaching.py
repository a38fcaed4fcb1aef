"""Which Application is meant, and a Repository fetched with a person's own Git."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desk import Repo

from windlass.adapters.git import GitRefused, RefMissing
from windlass.cli import fetching
from windlass.cli.reaching import Reach, every, find
from windlass.core.kinds.repository import Ref
from windlass.core.model import ObjectRef, Resource
from windlass.errors import NeedsHuman
from windlass.ports import NotAllowed, ObjectMissing


class Applications:
    """As much of a cluster as is asked here. ``only``: the one namespace that may be listed; "" all."""

    def __init__(self, *names: str, only: str = "", installed: bool = True) -> None:
        self.names = names
        self.only = only
        self.installed = installed

    def content(self, word: str) -> dict[str, Any]:
        namespace, _, name = word.partition("/")
        return {"metadata": {"namespace": namespace, "name": name}}

    async def read(self, resource: Resource, ref: ObjectRef) -> dict[str, Any] | None:
        word = f"{ref.namespace}/{ref.name}"
        return self.content(word) if word in self.names else None

    async def select(self, resource: Resource, namespace: str, *, fields: str = "") -> list[dict[str, Any]]:
        if not self.installed:
            raise ObjectMissing("no such resource")
        if self.only and namespace != self.only:
            raise NotAllowed("not allowed to list applications")
        name = fields.removeprefix("metadata.name=")
        found = [one for one in self.names if not namespace or one.startswith(f"{namespace}/")]
        return [self.content(one) for one in found if not name or one.endswith(f"/{name}")]


class Context:
    namespace = "default"
    name = "here"


def reach(cluster: Applications) -> Reach:
    made: Any = Reach(cluster, Context(), None)  # type: ignore[arg-type]
    return made


async def meant(cluster: Applications, word: str, namespace: str = "") -> str:
    found = await find(reach(cluster), word, namespace)
    return f"{found.namespace}/{found.name} as {found.word}"


async def refused(cluster: Applications, word: str, namespace: str = "") -> str:
    with pytest.raises(NeedsHuman) as error:
        await find(reach(cluster), word, namespace)
    return f"{error.value.what}; {error.value.hint}"


async def test_a_name_is_that_of_the_context_else_the_only_one_in_the_cluster() -> None:
    assert await meant(Applications("default/shop", "prod/shop"), "shop") == "default/shop as shop"
    assert await meant(Applications("prod/shop", "prod/other"), "shop") == "prod/shop as shop"
    assert await meant(Applications("default/shop", "prod/shop"), "prod/shop") == "prod/shop as prod/shop"
    assert await meant(Applications("default/shop", "prod/shop"), "shop", "prod") == "prod/shop as prod/shop"


async def test_several_of_one_name_are_listed() -> None:
    told = await refused(Applications("prod/shop", "test/shop"), "shop")
    assert told == "there are 2 Applications shop, and none in namespace default; name one: prod/shop, test/shop"


async def test_one_that_is_not_there_is_answered_with_what_may_have_been_meant() -> None:
    assert "did you mean prod/shop?" in await refused(Applications("prod/shop"), "shpo")
    assert "those that you may see: prod/shop" in await refused(Applications("prod/shop"), "zebra")
    assert "is in namespace a, and -n says b" in await refused(Applications(), "a/shop", "b")
    assert "names no Application" in await refused(Applications(), "a/b/c")


async def test_who_may_not_list_everything_is_told_to_name_the_namespace() -> None:
    assert "-n <namespace>" in await refused(Applications("prod/shop", only="default"), "shop")
    contents, remark = await every(reach(Applications("default/shop", "prod/shop", only="default")), "")
    assert [one["metadata"]["namespace"] for one in contents] == ["default"]
    assert "you may not list those of all namespaces" in remark


async def test_a_cluster_without_windlass_says_how_to_install_it() -> None:
    assert "windlass install --export" in await refused(Applications(installed=False), "shop")


async def test_what_a_repository_follows_is_fetched_into_the_cache(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = repo.commit("First", a="1")
    repo.git("tag", "v1.4.0")
    second = repo.commit("Second", a="2")
    repo.git("tag", "v2.0.0")
    repo.git("branch", "old", first)
    url = f"file://{repo.folder}"
    assert (await fetching.fetch(url, Ref())).commit == second
    assert (await fetching.fetch(url, Ref(branch="old"))).commit == first
    assert (await fetching.fetch(url, Ref(tag="v1.4.0"))).commit == first
    assert (await fetching.fetch(url, Ref(semver=">=1.0 <2"))).commit == first
    found = await fetching.fetch(url, Ref(commit=second))
    assert found.folder.startswith(str(tmp_path / "cache" / "windlass" / "git"))
    known = fetching.known(url, second)
    assert known is not None
    assert (known.subject, known.author) == ("Second", "ada")
    repo.git("branch", "-f", "old", second)
    assert (await fetching.fetch(url, Ref(branch="old"))).commit == second, "the branch moved"
    with pytest.raises(RefMissing):
        await fetching.fetch(url, Ref(branch="nowhere"))
    with pytest.raises(RefMissing):
        await fetching.fetch(url, Ref(semver=">=9"))


@pytest.mark.parametrize("url", ["ext::sh -c true", "--upload-pack=true", "https://user:pw@git.example/a.git"])
async def test_an_address_from_the_cluster_can_run_no_program(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(GitRefused):
        await fetching.fetch(url, Ref())
    assert list(tmp_path.iterdir()) == []
