"""``helmCharts`` of a kustomization: what ``helm template`` makes of a chart of the repository.

``inflating(work)`` is the ``Options.inflate`` of ``core/kustomize``. Charts come from the repository alone: kustomize
would fetch one in the middle of a build, from wherever the file says. Values are handed over merged already.
"""

from __future__ import annotations

from windlass.adapters.render.helm import KUBE_VERSION, RELEASE, Settings, render_chart
from windlass.adapters.render.helm_child import ValuesText
from windlass.adapters.render.helm_files import chart_folder
from windlass.adapters.render.helm_output import arranged, events
from windlass.adapters.render.helm_program import HelmProgram
from windlass.adapters.render.work import Work
from windlass.core.kustomize import Chart, Inflate, KustomizeError, NotSupported
from windlass.errors import NeedsHuman, Where


def inflating(work: Work) -> Inflate:
    """Renders charts for this render. What is wrong with a chart is a KustomizeError at the chart's own place."""

    def inflate(chart: Chart) -> bytes:
        _refuse(chart)
        facts = work.request.facts
        settings = Settings(
            chart.release_name or RELEASE,
            chart.namespace or "default",
            chart.kube_version or facts.version or KUBE_VERSION,
            chart.api_versions or facts.api_versions,
        )
        work.asked = True
        values = [ValuesText(f"values of {chart.name}", one) for one in chart.values]
        try:
            by = HelmProgram(work.request.helm) if work.request.helm else None
            answer, _ = render_chart(chart_folder(work.sealed, chart.folder), values, settings, by)
            output = arranged(answer.files, answer.crds if chart.include_crds else ())
        except NeedsHuman as error:
            raise KustomizeError(error.what, where=error.where, hint=error.hint) from error
        if chart.skip_tests:
            # Also what is a test besides: helm template --skip-tests does so.
            output.hooks = [one for one in output.hooks if not events(one.hook) & {"test", "test-success"}]
        return output.text(hooks=not chart.skip_hooks).encode()

    return inflate


def _refuse(chart: Chart) -> None:
    if not chart.folder:
        raise NotSupported(
            f"the chart {chart.name} is fetched from {chart.repo[:200]}, and nothing is fetched in a build",
            where=Where(field="repo"),
            hint=f"run helm pull {chart.name} --repo {chart.repo[:200]} --version {chart.version or '...'} --untar "
            "--untardir charts, and commit it; or render it by an Application of its own, with source.chart",
        )
    if chart.name_template:
        raise NotSupported(
            "nameTemplate is not supported", where=Where(field="nameTemplate"), hint="write releaseName: <name>"
        )
