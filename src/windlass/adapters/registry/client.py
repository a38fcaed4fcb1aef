"""One registry over the OCI distribution protocol: who we are, and requests that are bounded and verified.

Tokens are fetched where the registry says (the *realm*), but never from an address that is nearer to us than the
registry itself, only where the registry itself says so, and over HTTPS unless the registry is asked over plain HTTP.
They are kept by scope until shortly before they end. What is named by a digest is believed only when the bytes have
that digest. Redirects (blobs often lie in a store of their own) carry no credentials to another host:
``adapters/host/http`` holds that. Called by ``charts`` and ``images``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from typing_extensions import override

from windlass.adapters.host.http import IDENTITY, Answer, Ask, Http, Reach, RemoteRefused, RemoteUnavailable
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import NeedsHuman
from windlass.ports import Clock

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPT = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))
LARGEST_MANIFEST = 4 * 1024 * 1024
PAGES = 200
"""So many pages of tags are read; a registry that has more is told as such."""

_TOKEN_LIFE = 60.0
_MARGIN = 10.0
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_CHALLENGE = re.compile(r'(?<![A-Za-z])([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?')  # up to the next link: a header of links takes no long time
_HUBS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


class RegistryDenied(NeedsHuman):
    """The registry refused the credentials, or wants some."""

    slug: ClassVar[str] = "registry-denied"
    reason: ClassVar[str] = "RegistryDenied"


class RegistryMissing(NeedsHuman):
    """There is no such repository, tag or digest in the registry, or it is not shown to us."""

    slug: ClassVar[str] = "registry-missing"
    reason: ClassVar[str] = "RegistryMissing"


class RegistryWrong(NeedsHuman):
    """The registry's answer is none: no manifest, another digest than asked for, no list of tags."""

    slug: ClassVar[str] = "registry-wrong"
    reason: ClassVar[str] = "RegistryWrong"


class Login(NamedTuple):
    """Who we are to a registry. ``token`` is a bearer token, ``refresh`` one that gets such tokens (Docker calls it an
    identity token); ``missing`` is the host that a Docker configuration has no entry for. Its text shows nothing."""

    username: str = ""
    password: str = ""
    token: str = ""
    refresh: str = ""
    missing: str = ""

    @override
    def __repr__(self) -> str:
        return f"Login({self.username!r})" if self.username else "Login()"

    @property
    def basic(self) -> str:
        """The header's value, "" without a name."""
        if not self.username:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Manifest(NamedTuple):
    """A manifest or an index. ``digest`` is that of ``body``, whatever the registry's header says."""

    digest: str
    media_type: str
    body: bytes
    content: dict[str, Any]


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """What a manifest says of a blob."""

    digest: str
    size: int
    media_type: str = ""
    annotations: dict[str, str] = {}


class TagList(NamedTuple):
    """The tags of a repository. ``etag`` makes the next look conditional, "" where the registry gives none or the
    list has several pages."""

    tags: list[str]
    etag: str = ""


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Index(msgspec.Struct):
    manifests: list[dict[str, Any]] = []


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float = _TOKEN_LIFE


class Registry:
    """One registry, as one account sees it. ``host`` may have a port; ``plain`` asks over HTTP."""

    def __init__(
        self, http: Http, host: str, clock: Clock, *, login: Login | None = None, plain: bool = False, ca: bytes = b""
    ) -> None:
        self.host = host
        self._http = http
        self._clock = clock
        self._login = login or Login()
        self._ca = ca
        true = "registry-1.docker.io" if host in _HUBS else host
        self._base = f"{'http' if plain else 'https'}://{true}/v2/"
        self._plain = plain
        self._tokens: dict[str, tuple[float, str]] = {}
        self._basic = False

    # --- what is asked for ------------------------------------------------------------------------------------------

    async def tags(self, name: str) -> list[str]:
        """Every tag of a repository, in the registry's order. Raises RegistryMissing and what ``get`` raises."""
        listed = await self.look_at_tags(name)
        assert listed is not None, "nothing was given to compare with"
        return listed.tags

    async def look_at_tags(self, name: str, etag: str = "") -> TagList | None:
        """The tags, or None where they are those that had this ETag. Raises as ``tags`` does."""
        found: list[str] = []
        path = f"{_checked_name(name)}/tags/list?n=1000"
        given = ""
        for page in range(PAGES):
            headers = {"If-None-Match": etag} if etag and not page else {}
            answer = await self.get(path, name, headers=headers)
            if answer.status == 304 and headers:
                return None
            _expect(answer, f"{self.host}/{name}")
            try:
                found += msgspec.json.decode(answer.body, type=_Tags).tags or []
            except UNREADABLE:
                raise RegistryWrong(f"{self.host}/{name} answers no list of tags") from None
            following = _NEXT.search(answer.headers.get("Link", ""))
            given = answer.headers.get("ETag", "") if not page and following is None else ""
            if following is None:
                return TagList([tag for tag in found if _TAG.fullmatch(tag)], given[:256])
            path = self._following(following[1], name)
        raise RegistryWrong(f"{self.host}/{name} has more than {PAGES} pages of tags", hint="name one version")

    async def digest(self, name: str, tag: str) -> str:
        """What a tag points to now, without what it is. Raises RegistryMissing."""
        if not _TAG.fullmatch(tag):
            raise RegistryMissing(f"{tag[:80]!r} is no tag", hint="a tag has letters, digits, . _ and -")
        path = f"{_checked_name(name)}/manifests/{tag}"
        answer = await self.get(path, name, method="HEAD", headers={"Accept": ACCEPT})
        _expect(answer, f"{self.host}/{name}:{tag}")
        told = answer.headers.get("Docker-Content-Digest", "")
        return told if _DIGEST.fullmatch(told) else (await self.manifest(name, tag)).digest

    async def referrers(self, name: str, digest: str, kind: str = "") -> list[Descriptor]:
        """What says of a manifest that it is about it (signatures, bills of materials), of one artifact type where
        ``kind`` is given. A registry without this API is asked for the tag that stands in for it."""
        if not _DIGEST.fullmatch(digest):
            raise RegistryWrong(f"{self.host}/{name}: {digest[:80]!r} is no digest")
        answer = await self.get(f"{_checked_name(name)}/referrers/{digest}", name, headers={"Accept": INDEX})
        body = answer.body
        if answer.status != 200:
            try:
                body = (await self.manifest(name, digest.replace(":", "-"))).body
            except RegistryMissing:
                return []
        try:
            found = msgspec.json.decode(body, type=_Index).manifests
            listed = [(str(one.get("artifactType") or ""), msgspec.convert(one, Descriptor)) for one in found]
        except UNREADABLE:
            raise RegistryWrong(f"{self.host}/{name} answers no list of referrers") from None
        return [one for artifact, one in listed if not kind or artifact == kind]

    async def manifest(self, name: str, reference: str) -> Manifest:
        """A manifest by tag or digest; one by digest is verified. Raises RegistryMissing, RegistryWrong."""
        by_digest = _DIGEST.fullmatch(reference) is not None
        if not by_digest and not _TAG.fullmatch(reference):
            raise RegistryMissing(f"{reference[:80]!r} is no tag", hint="a tag has letters, digits, . _ and -")
        path = f"{_checked_name(name)}/manifests/{reference}"
        answer = await self.get(path, name, headers={"Accept": ACCEPT}, most=LARGEST_MANIFEST)
        _expect(answer, f"{self.host}/{name}:{reference}")
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        if by_digest:
            check_digest(answer.body, reference, f"{self.host}/{name}")
            digest = reference
        try:
            content = msgspec.json.decode(answer.body, type=dict[str, Any])
        except UNREADABLE:
            raise RegistryWrong(f"{self.host}/{name}:{reference} is no manifest") from None
        media_type = str(content.get("mediaType") or answer.headers.get("Content-Type", "").partition(";")[0])
        return Manifest(digest, media_type, answer.body, content)

    async def blob(self, name: str, wanted: Descriptor, most: int) -> bytes:
        """A blob, verified. Raises RegistryMissing, RegistryWrong, RemoteRefused where it is larger than ``most``."""
        if not _DIGEST.fullmatch(wanted.digest):
            raise RegistryWrong(f"{self.host}/{name} names a blob by what is no digest")
        if not 0 <= wanted.size <= most:
            raise RemoteRefused(f"{self.host}/{name} has a blob of {wanted.size} bytes, more than {most}")
        path = f"{_checked_name(name)}/blobs/{wanted.digest}"
        answer = await self.get(path, name, headers=IDENTITY, most=wanted.size)
        _expect(answer, f"{self.host}/{name}@{wanted.digest}")
        check_digest(answer.body, wanted.digest, f"{self.host}/{name}")
        return answer.body

    async def get(
        self,
        path: str,
        name: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        most: int = LARGEST_MANIFEST,
        actions: str = "pull",
    ) -> Answer:
        """One request below ``/v2/``, logged in as the registry asks for it.

        Raises RegistryDenied, RemoteUnavailable, RemoteRefused. Statuses such as 404 are in the answer.
        """
        scope = f"repository:{name}:{actions}"
        ask = Ask(self._base + path, method, dict(headers or {}), self._known(scope), most, ca=self._ca)
        answer = await self._http.ask(ask)
        if answer.status == 401 and answer.url.startswith(self._base):
            authorization = await self._authorize(answer, scope)
            answer = await self._http.ask(ask._replace(authorization=authorization))
        if answer.status in (401, 403):
            self._tokens.pop(scope, None)
            raise RegistryDenied(
                f"{self.host} does not let us read {name}",
                hint=_doubted(self._login, name),
            )
        return answer

    # --- who we are -------------------------------------------------------------------------------------------------

    def _known(self, scope: str) -> str:
        if self._basic:
            return self._login.basic
        until, token = self._tokens.get(scope, (0.0, ""))
        return token if self._clock.monotonic() < until else ""

    async def _authorize(self, answer: Answer, scope: str) -> str:
        """The header for a second try, by what the first answer asks for."""
        scheme, asked = challenge(answer.headers.get("WWW-Authenticate", ""))
        if scheme == "basic":
            if not self._login.username:
                raise RegistryDenied(f"{self.host} wants a name and a password", hint=_wanted(self._login))
            self._basic = True
            return self._login.basic
        if scheme != "bearer" or not asked.get("realm"):
            raise RegistryDenied(f"{self.host} wants a login of a kind that is not known here: {scheme or 'none'}")
        if self._login.token:
            return f"Bearer {self._login.token}"
        return await self._fetch_token(asked, scope, answer.reach)

    async def _fetch_token(self, asked: Mapping[str, str], scope: str, reach: Reach) -> str:
        realm = asked["realm"]
        try:
            parts = urlsplit(realm)
        except ValueError:
            raise RegistryDenied(f"{self.host} wants the login sent to what is no address: {realm[:80]!r}") from None
        if parts.scheme != "https" and not (parts.scheme == "http" and self._plain):
            raise RegistryDenied(
                f"{self.host} wants the login sent to {parts.scheme}://{parts.hostname}: that is not HTTPS"
            )
        query = {"service": asked["service"]} if asked.get("service") else {}
        query["scope"] = asked.get("scope") or scope
        if self._login.refresh:
            form = {"grant_type": "refresh_token", "client_id": "windlass", "refresh_token": self._login.refresh}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            ask = Ask(realm, "POST", headers, body=urlencode({**form, **query}).encode())
        else:
            ask = Ask(f"{realm}{'&' if parts.query else '?'}{urlencode(query)}", authorization=self._login.basic)
        answer = await self._http.ask(ask._replace(most=1 << 20, within=reach, ca=self._ca))
        if answer.status != 200:
            raise RegistryDenied(
                f"{parts.hostname} gives no token for {scope} ({answer.status})",
                hint=_doubted(self._login, scope),
            )
        try:
            read = msgspec.json.decode(answer.body, type=_Token)
        except UNREADABLE:
            raise RegistryWrong(f"{parts.hostname} answers no token") from None
        token = read.token or read.access_token
        if not token or not token.isascii() or not token.isprintable():
            raise RegistryWrong(f"{parts.hostname} answers no token")
        life = min(max(read.expires_in, _TOKEN_LIFE), 3600.0)
        self._tokens[scope] = (self._clock.monotonic() + life - _MARGIN, f"Bearer {token}")
        return f"Bearer {token}"

    def _following(self, target: str, name: str) -> str:
        """The path of a next page: of this registry and this repository, whatever the link says."""
        try:
            parts = urlsplit(target)
        except ValueError:
            raise RegistryWrong(f"{self.host}/{name} leads to what is no address for the next page of tags") from None
        path = parts.path.rpartition("/v2/")[2]
        if path != f"{name}/tags/list":
            raise RegistryWrong(f"{self.host}/{name} leads to another place for the next page of tags")
        return f"{path}?{parts.query}"


def challenge(header: str) -> tuple[str, dict[str, str]]:
    """The scheme of a ``WWW-Authenticate`` in small letters, and its parameters. What is not ASCII becomes "?": bytes
    that are no text could not be written into the address of a token."""
    scheme, _, rest = header.encode("ascii", "replace").decode().strip().partition(" ")
    found = {key.lower(): quoted or bare for key, quoted, bare in _CHALLENGE.findall(rest[:4096])}
    return scheme.lower(), found


def check_digest(data: bytes, digest: str, what: str) -> None:
    """Raises RegistryWrong where the bytes are not those that the digest names."""
    algorithm, _, wanted = digest.partition(":")
    found = hashlib.new(algorithm, data).hexdigest() if algorithm in ("sha256", "sha512") else ""
    if found != wanted:
        raise RegistryWrong(
            f"{what} gives other bytes than {digest[:19]}... names", hint="ask who runs it: it may have been changed"
        )


def _checked_name(name: str) -> str:
    if len(name) > 255 or _NAME.fullmatch(name) is None:
        raise RegistryMissing(
            f"{name[:80]!r} is no name of a repository", hint="lower-case letters, digits and . _ - /"
        )
    return name


def _expect(answer: Answer, what: str) -> None:
    if answer.status == 404:
        raise RegistryMissing(f"there is no {what}", hint="is the name right, and does the account see it?")
    if answer.status != 200:
        raise RemoteUnavailable(f"{what} is answered with {answer.status}")


def login_for(host: str, secret: Mapping[str, bytes], path: str = "") -> Login:
    """The login that a Secret holds for a registry: ``username`` and ``password``, ``bearerToken``, or the entry of a
    ``.dockerconfigjson`` that fits the host, and ``path`` there, best. Raises RegistryDenied where that can't be read.
    """
    if config := secret.get(".dockerconfigjson"):
        return _docker_login(host, path, config)
    try:
        return Login(
            secret.get("username", b"").decode(),
            secret.get("password", b"").decode(),
            secret.get("bearerToken", b"").decode(),
        )
    except UnicodeDecodeError:
        raise RegistryDenied("the Secret's username or password is not UTF-8") from None


def _wanted(login: Login) -> str:
    if login.missing:
        return f"the Secret's .dockerconfigjson has no login for {login.missing}: add one to its auths"
    return "the Secret takes username and password, or .dockerconfigjson"


def _doubted(login: Login, what: str) -> str:
    """The mend where a login was refused, or there was none."""
    if login.refresh or login.token:
        return f"is the token in the Secret still good, and may it read {what}?"
    if login.username:
        return f"it refused {login.username}: is the password still good, and may it read {what}?"
    return _wanted(login)


def mark_of(secret: Mapping[str, bytes]) -> str:
    """Tells credentials apart without keeping them."""
    mark = hashlib.sha256()
    for key in sorted(secret):
        mark.update(key.encode() + b"\0" + hashlib.sha256(secret[key]).digest())
    return mark.hexdigest()


_K = TypeVar("_K")
_V = TypeVar("_V")


def remember(table: dict[_K, _V], key: _K, value: _V, most: int) -> None:
    """Puts it last, and forgets the first where there are more than ``most``."""
    table[key] = value
    while len(table) > most:
        table.pop(next(iter(table)))


class _Entry(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _DockerConfig(msgspec.Struct):
    auths: dict[str, _Entry] = {}


def _docker_login(host: str, path: str, config: bytes) -> Login:
    try:
        auths = msgspec.json.decode(config, type=_DockerConfig).auths
        fitting = [(fit, entry) for key, entry in auths.items() if (fit := _fit(key, host, path)) is not None]
        if not fitting:
            return Login(missing=host)
        entry = max(fitting, key=lambda one: one[0])[1]
        username, password = entry.username, entry.password
        if entry.auth and not username:
            plain = base64.b64decode("".join(entry.auth.split()), validate=True).decode()
            username, _, password = plain.partition(":")
    except (*UNREADABLE, ValueError):
        raise RegistryDenied("the Secret's .dockerconfigjson can't be read", hint="docker login writes one") from None
    if not (username or entry.registrytoken or entry.identitytoken):
        return Login(missing=host)  # "docker login" with a store of credentials leaves an empty entry
    return Login(username, password.rstrip("\0"), entry.registrytoken, entry.identitytoken)


def _fit(key: str, host: str, path: str) -> tuple[int, bool] | None:
    """How well an entry of a Docker configuration fits a repository, as the kubelet has it: ``*`` for a part of the
    host's name, and of paths the longest. None where it does not."""
    rest = key.partition("://")[2] or key
    name, _, below = rest.partition("/")
    name, below = name.lower(), below.strip("/")
    if below in ("v1", "v2"):
        below = ""
    if below and path != below and not path.startswith(below + "/"):
        return None
    if name in _HUBS and host in _HUBS:
        return len(below), True
    parts, wanted = name.split("."), host.lower().split(".")
    if len(name) > 255 or len(parts) != len(wanted) or not all(map(fnmatchcase, wanted, parts)):
        return None
    return len(below), name == host.lower()


__all__ = [
    "Descriptor",
    "Login",
    "Manifest",
    "Registry",
    "RegistryDenied",
    "RegistryMissing",
    "RegistryWrong",
    "TagList",
    "challenge",
    "check_digest",
    "login_for",
    "mark_of",
    "remember",
]
