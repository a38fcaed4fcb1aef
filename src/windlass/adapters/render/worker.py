"""The render worker: ``python -m windlass.adapters.render.worker``, a child that reads requests and writes answers.

It gets no environment, no network address and no token; its parent bounds its memory, and it bounds its own CPU time
for each request. Standard output carries the protocol alone. It ends when its input ends. Started by ``workers``.
"""

from __future__ import annotations

import os
import sys
import traceback

import msgspec

from windlass.adapters.render.documents import Documents
from windlass.adapters.render.frames import FAILURE, READY, Failure, answer, frame
from windlass.adapters.render.serving import bound_cpu, next_request
from windlass.adapters.render.steps import render
from windlass.adapters.render.trees import Trees
from windlass.core.model import Rendered
from windlass.errors import TryLater, WindlassError
from windlass.ports import RenderRequest


class Job(msgspec.Struct, frozen=True):
    """A request, and the seconds of CPU that it may use."""

    request: RenderRequest
    cpu: int


def main() -> None:
    """Serves until the input ends."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not be taken for an answer.
    os.dup2(2, 1)
    decode = msgspec.msgpack.Decoder(Job).decode
    documents, trees = Documents(), Trees()
    sink.write(frame(READY, b""))
    sink.flush()
    while (job := next_request(source)) is not None:
        for part in _answers(decode(job), documents, trees):
            sink.write(part)
        sink.flush()


def _answers(job: Job, documents: Documents, trees: Trees) -> list[bytes]:
    bound_cpu(job.cpu)
    try:
        return list(answer(_render(job.request, documents, trees)))
    except MemoryError:
        failure = Failure("memory", "rendering needed more memory than it may", "split the source into smaller folders")
    except RecursionError:
        failure = Failure(
            "human", "a manifest is nested too deeply to be rendered", "no Kubernetes object is that deep"
        )
    except WindlassError as error:
        failure = Failure("later" if isinstance(error, TryLater) else "human", error.what, error.hint)
    except Exception as error:  # noqa: BLE001 - the wall of this process: the parent tells it, with the place in the code
        place = traceback.extract_tb(error.__traceback__)[-1]
        file = place.filename.rpartition("/")[2]
        failure = Failure("broken", f"the renderer failed: {type(error).__name__} in {file}:{place.lineno}")
    return [frame(FAILURE, msgspec.msgpack.encode(failure))]


def _render(request: RenderRequest, documents: Documents, trees: Trees) -> Rendered:
    tree = trees.at(request.folder, request.commit)
    others = {name: trees.at(other.folder, other.commit).snapshot for name, other in request.others.items()}
    return render(request, tree.snapshot, documents, tree.last_changed, others)


if __name__ == "__main__":
    main()
    sys.exit(0)
