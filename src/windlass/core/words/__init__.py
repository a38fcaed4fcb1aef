"""Windlass: the room `core/words`."""
