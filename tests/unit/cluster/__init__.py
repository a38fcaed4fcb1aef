"""Tests of `windlass.adapters.cluster`."""
