"""Windlass: the room `core/kinds`."""
