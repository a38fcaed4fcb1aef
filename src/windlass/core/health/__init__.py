"""Windlass: the room `core/health`."""
