"""Windlass: the room `core/manifests`."""
