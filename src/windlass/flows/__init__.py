"""One flow a file: read, ask core, write, record. ``supervise`` is the only place that catches everything."""
