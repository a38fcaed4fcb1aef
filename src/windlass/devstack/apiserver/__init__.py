"""Windlass: the room `devstack/apiserver`."""
