"""Traces: ``ports.Tracer`` over OpenTelemetry where the extra is installed, and over nothing otherwise.

``app.py`` chooses. Where spans go is said by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its
kin), which its exporter reads. Attributes are names and counts, never values.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from windlass.errors import NeedsHuman

_NOTHING: AbstractContextManager[object] = nullcontext()


class NoTracer:
    """Nobody traces."""

    def span(self, name: str, **attributes: str | int | float) -> AbstractContextManager[object]:
        return _NOTHING


class OpenTelemetryTracer:
    """Spans by OpenTelemetry, sent in batches by a thread of its own. ``close`` sends what is left."""

    def __init__(self, service: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise NeedsHuman(
                "OpenTelemetry is not installed", hint="pip install 'windlass[otel]', or leave --trace out"
            ) from error
        self._provider: Any = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer: Any = self._provider.get_tracer("windlass")

    def span(self, name: str, **attributes: str | int | float) -> AbstractContextManager[object]:
        made: AbstractContextManager[object] = self._tracer.start_as_current_span(name, attributes=attributes)
        return made

    def close(self) -> None:
        self._provider.shutdown()
