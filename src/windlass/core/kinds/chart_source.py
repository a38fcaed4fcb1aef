"""``spec.source.chart`` of an Application: a Helm chart from elsewhere, and who has to vouch for it.

Part of ``application``, which calls ``check_chart``.
"""

from __future__ import annotations

from typing import Annotated

from windlass.core.charts.ranges import read_range
from windlass.core.kinds.fields import LABEL_NAME, Duration, seconds
from windlass.core.kinds.rendering import KEY, OBJECT_NAME, Named
from windlass.core.kinds.shape import Form, Part, Rule, Says, mistake, shown

CHART_URL = Form(
    r"(?:https?|oci)://[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9._~%/+-]*)?",
    "the address of a chart repository or registry, without credentials",
    "oci://registry.example.com/charts",
    1024,
)
CHART_NAME = Form("[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a chart", "shop", 250)
ONE_KEY = Form(f"(?:{KEY.pattern})?", KEY.words, "keys.asc", 253)
CHART_VERSION = Form(r"[-0-9A-Za-z.+*<>=!~^|, ]*", "a version or a range of versions", '">=1.4 <2"', 256)


class Keyring(Part, frozen=True):
    """OpenPGP keys in a ConfigMap or a Secret of the Application's namespace, read with the Application's account."""

    config_map: Annotated[str, OBJECT_NAME, Says("Name of a ConfigMap.", "chart-signers")] = ""
    secret: Annotated[str, OBJECT_NAME, Says("Name of a Secret.", "chart-signers")] = ""
    key: Annotated[
        str,
        ONE_KEY,
        Says(
            "The key that holds the keyring, as `gpg --export` writes it, armored or not. The default is each of its "
            "keys.",
            "keys.asc",
        ),
    ] = ""

    rules = (
        Rule(
            "(has(self.configMap) ? 1 : 0) + (has(self.secret) ? 1 : 0) == 1",
            "name one object: configMap: ..., or secret: ...",
        ),
    )

    @property
    def named(self) -> Named:
        """What has to be read."""
        return Named("ConfigMap", self.config_map) if self.config_map else Named("Secret", self.secret)


class Provenance(Part, frozen=True):
    """Who has to have signed the chart."""

    keyring: Annotated[Keyring, Says("The keys of which one has to have signed the chart's provenance (`.prov`).")]


class ChartSource(Part, frozen=True):
    """A Helm chart from a chart repository or a registry."""

    repository: Annotated[str, CHART_URL, Says("A chart repository (`https://`) or a registry (`oci://`).")]
    name: Annotated[str, CHART_NAME, Says("The chart's name.")]
    version: Annotated[
        str,
        CHART_VERSION,
        Says("A version, or a range of which the newest is taken, as Helm reads it. The default is the newest."),
    ] = ""
    interval: Annotated[Duration, Says("How often a newer version is looked for.", "10m")] = "10m"
    secret: Annotated[
        str,
        LABEL_NAME,
        Says(
            "A Secret of the Application's namespace with `username` and `password`, or `.dockerconfigjson`, and "
            "`ca.crt` where it is needed; read with the Application's account.",
            "charts-read",
        ),
    ] = ""
    plain_http: Annotated[bool, Says("Ask the registry over HTTP, not HTTPS.")] = False
    verify: Annotated[
        Provenance | None,
        Says("Take the chart only with a provenance that holds, as `helm package --sign` makes it."),
    ] = None


def check_chart(chart: ChartSource, renderer: str) -> None:
    """What no field by itself can say. Raises BadSpec."""
    if read_range(chart.version) is None:
        hint = 'version: ">=1.4 <2", ~1.4, 1.x, or 1.4.2'
        raise mistake("spec.source.chart.version", f"is no range of versions: {shown(chart.version)}", hint)
    if seconds(chart.interval) < 10:
        raise mistake("spec.source.chart.interval", "must be 10s or more", "interval: 10m")
    if renderer not in ("", "helm"):
        raise mistake(f"spec.render.{renderer}", "is another renderer, and source.chart names a chart", "take one out")
    keyring = chart.verify.keyring if chart.verify is not None else None
    if keyring is not None and bool(keyring.config_map) == bool(keyring.secret):
        raise mistake("spec.source.chart.verify.keyring", "names not one object", "configMap: ..., or secret: ...")
