"""Windlass: the room `cli`."""
