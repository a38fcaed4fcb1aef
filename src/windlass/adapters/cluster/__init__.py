"""The Kubernetes API: access, discovery, watches and the live index, writes, the Lease. Implements `ports.Cluster`.

`app.py` and the command line put it together with `connect`; flows reach it by the port. It decides nothing about Git.
"""

from windlass.adapters.cluster.access import Access, in_cluster
from windlass.adapters.cluster.client import Client
from windlass.adapters.cluster.kube import KubeCluster, connect
from windlass.adapters.cluster.kubeconfig import from_kubeconfig
from windlass.adapters.cluster.lease import LeaseLeadership
from windlass.adapters.cluster.live import LABEL

__all__ = ["LABEL", "Access", "Client", "KubeCluster", "LeaseLeadership", "connect", "from_kubeconfig", "in_cluster"]
