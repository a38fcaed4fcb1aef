"""The figures of `docs/performance.md`: `python -m bench [name]`, or `make bench` and `make bench-<name>`.

It runs the controller as people run it, a process under its own account, and measures from outside: the API server's
audit log, `/proc`, a watch. Nothing in the program knows of it. The default test suite times nothing.
"""
