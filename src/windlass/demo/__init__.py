"""Windlass: the room `demo`."""
