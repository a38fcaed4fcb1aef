"""OCI registries and chart repositories, over their protocols. ``ports.Charts`` is here.

    Registry       one registry: authentication, manifests, blobs, tags
    ChartStore     versions found, archives fetched, verified and kept

It never renders, and decides nothing but which version of a chart a range means.
"""

from __future__ import annotations
