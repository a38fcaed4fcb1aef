"""Windlass: the room `core/model`."""
