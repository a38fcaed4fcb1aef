"""Windlass: the room `adapters/git`."""
