"""What the API server, Kustomize, plan and drift all need to know of Kubernetes objects as data.

``schemas`` and ``resources`` say what kinds there are; ``fields`` says who owns what; ``patches``, ``differences``,
``selectors``, ``quantities``, ``order`` and ``redact`` work on the bodies. Pure functions over dicts; nothing
here changes an argument, reads a file or a clock, or talks to a cluster.
"""
