"""Windlass: the room `devstack`."""
