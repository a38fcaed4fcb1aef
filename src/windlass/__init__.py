"""Windlass: GitOps for Kubernetes. The cluster hauls itself to what Git says."""

__version__ = "0.1.0"
