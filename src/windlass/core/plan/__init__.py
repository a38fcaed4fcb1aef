"""Windlass: the room `core/plan`."""
