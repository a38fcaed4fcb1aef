"""The real control plane for tests and benchmarks: which programs, how they are built, started and stopped."""
