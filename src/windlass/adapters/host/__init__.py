"""This machine: its clock, its files, its child processes. Adapters and the composition root stand on it."""
