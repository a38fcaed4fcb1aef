"""What git and ssh say on their error output, as one sentence with a mend, sorted into the two families. Used by
``program.py`` and ``write.py``.

The output itself may hold addresses, names and whatever a server sends: of it only what was recognised is told, and the
masked rest stays with the error as its cause, for logs at debug level.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from windlass.adapters.git.errors import GitRefused, GitUnavailable, RefMissing
from windlass.adapters.git.urls import GitUrl, masked
from windlass.adapters.host.children import Finished

_LATER = "later"
# What is recognised, in this order: the pattern, the cause, the sentence about {host}, the mend ("later": it may work
# by itself).
_WORDS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed",
        "host-key",
        "the host key of {host} is not the one in known_hosts: the host was set up anew, or somebody stands in between",
        "compare the new key with the host's own statement, then put it into known_hosts of the Secret",
    ),
    (
        r"Host key verification failed|host key is known for",
        "host-key",
        "known_hosts has no key of {host}",
        "put the line that the host publishes (or ssh-keyscan shows, compared) into known_hosts of the Secret",
    ),
    (
        r"invalid format|error in libcrypto|no start line",
        "credentials",
        "the identity for {host} is not a private key",
        "store an OpenSSH private key without passphrase as identity",
    ),
    (
        r"incorrect passphrase|passphrase supplied",
        "credentials",
        "the identity for {host} has a passphrase",
        "store a private key without passphrase as identity",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "authentication",
        "{host} does not accept the key",
        "add its public half to the repository as a deploy key",
    ),
    (
        r"Authentication failed|could not read Username|could not read Password|terminal prompts disabled|"
        r"returned error: 401|returned error: 403",
        "authentication",
        "{host} does not accept the credentials for this repository",
        "check username and password, or bearerToken, in the Secret: is the token still valid, and may "
        "it read this repository?",
    ),
    (
        r"SSL certificate problem|certificate verification failed|self.signed certificate|"
        r"unable to get local issuer|certificate verify failed|not trusted",
        "tls",
        "the certificate of {host} is not signed by an authority known here",
        "put the CA's certificates as ca.crt into the Secret of the Repository",
    ),
    (
        r"SSL: no alternative certificate|does not match target host|doesn't match",
        "tls",
        "the certificate is not for {host}",
        "use the name that the certificate is for",
    ),
    (
        r"error setting certificate|problem with the SSL CA cert",
        "tls",
        "the ca.crt for {host} can't be read",
        "store PEM certificates as ca.crt",
    ),
    (
        r"update url base from redirection|returned error: 30[1278]",
        "redirect",
        "{host} sends us to another address, and credentials are not taken there",
        "write the address that it leads to (often it only lacks .git at its end)",
    ),
    (
        r"Repository not found|returned error: 404|repository .* not found|"
        r"does not appear to be a git repository|does not exist|not found: did you run",
        "repository-missing",
        "{host} has no such repository, or these credentials may not see it",
        "check the address and the rights of the credentials",
    ),
    (
        r"dubious ownership",
        "ownership",
        "the repository belongs to another user of this machine",
        "serve it over https or ssh, or make it one's own",
    ),
    (
        r"couldn't find remote ref|no matching remote head",
        "ref-missing",
        "the ref is gone from {host}",
        "name a branch or tag that is there",
    ),
    (
        r"not our ref|not advertised|unadvertised object|bad object",
        "ref-missing",
        "{host} does not have that commit",
        "name a commit that a branch or tag leads to",
    ),
    (
        r"signal 25|File size limit exceeded|pack exceeds maximum|maximum allowed size|File too large",
        "too-large",
        "the repository on {host} is larger than is accepted",
        "keep manifests in a repository of their own",
    ),
    (
        r"fsck error|fsckObjects|badTree|bad tree|hasDot|missing blob|object corrupt|inflate: data|"
        r"index-pack failed",
        "objects",
        "{host} sent objects that are damaged or made to hurt",
        "run git fsck on the repository, and repair or rewrite what it names",
    ),
    (
        r"transport '.*' not allowed|attempting to use scheme",
        "url",
        "that is no way to reach {host}",
        "write https://host/path or ssh://git@host/path",
    ),
    (
        r"Could not resolve host|Name or service not known|name resolution",
        "dns",
        "the name {host} is not known",
        _LATER,
    ),
    (
        r"timed out|Timeout|Operation too slow",
        "timeout",
        "{host} did not answer in time",
        _LATER,
    ),
    (
        r"returned error: 429",
        "throttled",
        "{host} asks us to slow down",
        _LATER,
    ),
    (
        r"returned error: 5[0-9][0-9]|Internal Server Error",
        "server",
        "{host} has trouble of its own",
        _LATER,
    ),
    (
        r"No space left|Disk quota",
        "disk",
        "there is no room left for the repository here",
        _LATER,
    ),
    (
        r"(?m)^(?!remote:).*Read-only file system",
        "disk",
        "the disk with the mirror is read-only here",
        _LATER,
    ),
)
_COMPILED = [(re.compile(pattern, re.IGNORECASE), cause, what, hint) for pattern, cause, what, hint in _WORDS]


PART = 16 * 1024
"""Bytes from each end of what git said that are looked at."""


class GitOutput(Exception):
    """What git said, credentials masked, cut to size. Only ever a cause."""


def told(url: GitUrl, done: Finished, secrets: Sequence[str]) -> GitUnavailable | GitRefused:
    """The error that a failed command comes to. Its ``__cause__`` is the masked output."""
    said = done.stderr
    if len(said) > 2 * PART:  # a server may say megabytes: what is wrong stands in front or at the end
        said = said[:PART] + b"\n" + said[-PART:]
    text = said.decode(errors="replace")
    error: GitUnavailable | GitRefused
    host = url.origin
    for pattern, cause, what, hint in _COMPILED:
        if pattern.search(text):
            sentence = what.format(host=host)
            if hint == _LATER:
                error = GitUnavailable(sentence, cause=cause)
            elif cause == "ref-missing":
                error = RefMissing(sentence, cause=cause, hint=hint)
            else:
                error = GitRefused(sentence, cause=cause, hint=hint)
            break
    else:
        how = f"signal {-done.code}" if done.code < 0 else f"exit code {done.code}"
        error = GitUnavailable(f"{host} could not be reached, or broke off ({how})", cause="unreachable")
    error.__cause__ = GitOutput(hidden(text, secrets))
    return error


def hidden(text: str, secrets: Sequence[str]) -> str:
    """Output of a child with everything that may be secret masked."""
    for secret in secrets:
        text = text.replace(secret, "****")
    return masked(text).strip()[:2000]
