"""Windlass: the room `flows`."""
