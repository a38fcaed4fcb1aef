"""`run`: the controllers over one in-process API, until cancelled."""

from __future__ import annotations

from windlass.devstack.workloads.api import Api, Clock
from windlass.devstack.workloads.autoscaler import Autoscalers
from windlass.devstack.workloads.bootstrap import bootstrap
from windlass.devstack.workloads.budget import Budgets
from windlass.devstack.workloads.cluster import Cluster
from windlass.devstack.workloads.cron_job import CronJobs
from windlass.devstack.workloads.daemon_set import DaemonSets
from windlass.devstack.workloads.deployment import Deployments
from windlass.devstack.workloads.endpoints import Endpoints
from windlass.devstack.workloads.engine import Engine
from windlass.devstack.workloads.garbage import Garbage
from windlass.devstack.workloads.job import Jobs
from windlass.devstack.workloads.kubelet import Kubelet
from windlass.devstack.workloads.namespaces import Namespaces
from windlass.devstack.workloads.replica_set import ReplicaSets, ReplicationControllers
from windlass.devstack.workloads.scheduler import Scheduler
from windlass.devstack.workloads.stateful_set import StatefulSets
from windlass.devstack.workloads.volumes import Claims, Volumes


async def run(api: Api, *, clock: Clock, root_ca: str = "", measured: bool = False) -> None:
    """Make the workloads behind ``api`` progress until cancelled. ``root_ca`` is the PEM that every namespace's
    `kube-root-ca.crt` holds. ``measured``: autoscalers act as if a metrics server were there.
    """
    await bootstrap(api, clock)
    cluster = Cluster(api, clock)
    controllers = [
        Deployments(cluster),
        ReplicaSets(cluster),
        ReplicationControllers(cluster),
        StatefulSets(cluster),
        DaemonSets(cluster),
        Jobs(cluster),
        CronJobs(cluster),
        Autoscalers(cluster, measured=measured),
        Budgets(cluster),
        Scheduler(cluster),
        Kubelet(cluster),
        Endpoints(cluster),
        Claims(cluster),
        Volumes(cluster),
        Garbage(cluster),
        Namespaces(cluster, root_ca),
    ]
    await Engine(cluster, controllers).run()
