"""What the children that serve renders have in common: a request from their input, and their own bound on CPU time.

Used by ``worker`` and ``helm_child``.
"""

from __future__ import annotations

import resource
from typing import IO

from windlass.adapters.render.frames import HEADER, REQUEST


def next_request(source: IO[bytes]) -> bytes | None:
    """The payload of the next request; None where the input ends, or holds something else."""
    head = source.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    length, letter = HEADER.unpack(head)
    payload = source.read(length)
    return payload if letter == REQUEST and len(payload) == length else None


def bound_cpu(seconds: int) -> None:
    """The kernel ends a render that only computes, whatever the parent does meanwhile."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(usage.ru_utime + usage.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
