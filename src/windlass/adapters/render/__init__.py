"""Windlass: the room `adapters/render`."""
