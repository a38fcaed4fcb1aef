"""Windlass: the room `devstack/workloads`."""
