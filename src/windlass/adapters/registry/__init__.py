"""OCI registries and chart repositories, over their protocols. ``ports.Charts`` and ``ports.Images`` are here.

    Registry       one registry: authentication, manifests, blobs, tags
    ChartStore     versions found, archives fetched, verified and kept
    ImageStore     tags, digests, facts and signatures of images, within a budget of requests

It never renders, and decides nothing but which version of a chart a range means.
"""

from __future__ import annotations
