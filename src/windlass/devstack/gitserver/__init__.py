"""Windlass: the room `devstack/gitserver`."""
