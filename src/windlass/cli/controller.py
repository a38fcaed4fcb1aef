"""``windlass controller``: the operator, against the cluster it runs in or the current kubeconfig context."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("controller")
@click.option("--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), help="In place of the Pod's own rights.")
@click.option("--context", help="A context of the kubeconfig.")
@click.option(
    "--namespace",
    default="windlass-system",
    envvar="WINDLASS_NAMESPACE",
    show_default=True,
    help="Where its Lease and its Secrets are.",
)
@click.option("--identity", default="", envvar="WINDLASS_IDENTITY", help="Its name in the Lease and in Events.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/var/lib/windlass"),
    envvar="WINDLASS_DATA",
    show_default=True,
    help="Git mirrors; may be lost at any time.",
)
@click.option(
    "--listen",
    default="127.0.0.1",
    envvar="WINDLASS_LISTEN",
    show_default=True,
    help="Address for probes, metrics and push hooks.",
)
@click.option(
    "--port", default=8080, envvar="WINDLASS_PORT", show_default=True, help="Port for them; 0 takes a free one."
)
@click.option("--renderers", default=2, envvar="WINDLASS_RENDERERS", show_default=True, help="Render workers at most.")
@click.option(
    "--workers",
    default=16,
    envvar="WINDLASS_WORKERS",
    show_default=True,
    help="Applications that are worked on at once.",
)
@click.option(
    "--lease/--no-lease", default=True, show_default=True, help="Wait for the Lease, so that one of several leads."
)
@click.option("--local-git", is_flag=True, help="Allow file: repositories, for a trial on one machine.")
@click.option(
    "--helm",
    default="",
    envvar="WINDLASS_HELM",
    metavar="PROGRAM",
    help="A helm program that renders charts, in place of the extra windlass[helm].",
)
@click.option(
    "--fetch-dependencies",
    is_flag=True,
    help="Fetch charts that a chart names and that are not in its folder charts/, as its Chart.lock says.",
)
@click.option(
    "--local-charts", is_flag=True, help="Allow chart repositories and registries on this machine, for a trial on it."
)
@click.option("--log-format", type=click.Choice(["json", "text"]), default="json", show_default=True)
@click.option("--trace", is_flag=True, help="OpenTelemetry traces (pip install 'windlass[otel]').")
@click.option(
    "--profile",
    is_flag=True,
    envvar="WINDLASS_PROFILE",
    help="Sample where its time goes into profile.txt of --data, and log what holds the event loop.",
)
def command(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    identity: str,
    data: Path,
    listen: str,
    port: int,
    renderers: int,
    workers: int,
    lease: bool,
    local_git: bool,
    local_charts: bool,
    helm: str,
    fetch_dependencies: bool,
    log_format: str,
    trace: bool,
    profile: bool,
) -> int:
    """Run the operator. One of several leads, by a Lease; the others wait, and take over within seconds.

    In a container, settings can come from the environment: WINDLASS_PORT=9090 for --port, and so on.
    """
    from windlass.adapters.host.files import FileNotWritable, check_folder
    from windlass.app import Controller
    from windlass.cli.running import access, logs, run
    from windlass.errors import Where
    from windlass.settings import Settings

    logs(log_format)
    try:
        check_folder(data)
    except FileNotWritable as error:
        # Mirrors, renders and what waits to be told are kept there: without any of it nothing would ever be applied.
        raise error.at(Where(field="--data")) from None
    settings = Settings(
        namespace=namespace,
        identity=identity,
        data=data,
        listen=listen,
        port=port,
        renderers=renderers,
        workers=workers,
        lease=lease,
        local_git=local_git,
        local_charts=local_charts,
        helm=helm,
        fetch_dependencies=fetch_dependencies,
        log_format=log_format,
        trace=trace,
        profile=profile,
    )
    run(Controller(settings, access(kubeconfig, context)).run)
    return 0
