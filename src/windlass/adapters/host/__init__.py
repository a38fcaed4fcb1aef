"""Windlass: the room `adapters/host`."""
