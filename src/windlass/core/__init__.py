"""Windlass: the room `core`."""
