"""An OCI registry for trying things out: real clients (``crane``, ``cosign``, ``helm``, ``skopeo``) push and pull.

It keeps everything in one folder, and tells a URL of each push in the form of distribution's notifications. Started by
the development server's child process and by tests, which reach it only by its protocol.

What it does not do: users and rights (one token for all, or none), a cache of other registries, schema 1 manifests,
cross-repository blob garbage collection while it runs (``Store.sweep`` does it while nothing is pushed).
"""

from windlass.devstack.ociserver.login import Login
from windlass.devstack.ociserver.notify import Notifier
from windlass.devstack.ociserver.server import OciServer

__all__ = ["Login", "Notifier", "OciServer"]
