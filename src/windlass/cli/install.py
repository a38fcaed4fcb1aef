"""``windlass install --export``: prints what a cluster needs. It changes nothing: Git is where that belongs."""

from __future__ import annotations

import click


@click.command("install")
@click.option("--export", is_flag=True, help="Print the manifests, for a folder in Git.")
@click.option("--containerfile", is_flag=True, help="Print the Containerfile of the controller's image.")
@click.option("--image", default="windlass:latest", show_default=True, help="The controller's image.")
@click.option("--cluster", default="cluster", show_default=True, help="The name of this cluster in events.")
@click.option("--namespace", default="windlass-system", show_default=True, help="Where the controller runs.")
@click.option(
    "--apply-as",
    type=click.Choice(["serviceAccount", "controller"]),
    default="serviceAccount",
    show_default=True,
    help="Whose rights Applications apply with; 'controller' gives it cluster-admin.",
)
@click.option("--crds", is_flag=True, help="Print only the CustomResourceDefinitions.")
def command(
    export: bool, containerfile: bool, image: str, cluster: str, namespace: str, apply_as: str, crds: bool
) -> int:
    """Print what a cluster needs to run the controller: CRDs, least rights, Deployment, probes, network policies.

    Put it into a folder in Git and apply it once: first --crds, then --export (`kubectl apply --server-side -f -`);
    from then on an Application over that folder keeps it.
    """
    from windlass.core.documents import write
    from windlass.core.kinds.deploy import CONTAINERFILE, Deploy, definitions, manifests

    if containerfile:
        click.echo(CONTAINERFILE, nl=False)
        return 0
    if not export and not crds:
        raise click.UsageError("say what to print: --export, --crds or --containerfile")
    deploy = Deploy(image=image, cluster=cluster, namespace=namespace, apply_as=apply_as)
    click.echo(write(definitions() if crds else manifests(deploy)), nl=False)
    return 0
