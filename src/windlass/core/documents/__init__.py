"""Windlass: the room `core/documents`."""
