"""A Git server over smart HTTP for trying things out: real ``git`` clients clone from it and push to it.

It wraps the ``git http-backend`` program and keeps bare repositories in one folder; a push is told to a URL in the form
of GitHub's push webhook. Started by the development server's child process and by tests, which reach it only by its
protocol.

What it does not do: users and rights (one token for all, or none), hooks in repositories, pull requests, an API, SSH,
LFS.
"""

from windlass.devstack.gitserver.notify import Notifier
from windlass.devstack.gitserver.server import GitServer

__all__ = ["GitServer", "Notifier"]
