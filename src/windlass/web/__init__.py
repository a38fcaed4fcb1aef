"""Windlass: the room `web`."""
