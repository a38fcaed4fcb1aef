"""Tests of `windlass.adapters.host`."""
