"""Windlass: the room `adapters`."""
