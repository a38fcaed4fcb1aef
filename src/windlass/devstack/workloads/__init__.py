"""Workloads without containers: what kube-controller-manager, kube-scheduler and a kubelet would make of the objects,
in one process.

The embedded API server starts ``run`` beside itself and gives it its in-process API; it takes the rules for built-in
kinds from `Strategies`.
What is left out: resource quotas are not enforced, a node is never full, no metrics (an autoscaler only keeps its
bounds), no
network, no logs but a simulated line (``logs``), no CSI, no NodeLifecycle, no certificates.
"""

from __future__ import annotations

from windlass.devstack.workloads.api import Api, Change, Clock
from windlass.devstack.workloads.start import run
from windlass.devstack.workloads.strategy import Strategies, strategies

__all__ = ["Api", "Change", "Clock", "Strategies", "run", "strategies"]
