"""Windlass: the room `adapters/cluster`."""
