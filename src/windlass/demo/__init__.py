"""The embedded devstack with a controller beside it, for ``windlass up``, and the story of ``windlass demo``."""
