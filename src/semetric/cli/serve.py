"""`semetric serve`: studies in the browser, and two uploaded images explained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semetric.cli import _console as shared

__all__ = ["serve"]


def serve(
    study: Annotated[Path | None, typer.Option(help="The study file. Default: none, the compare page alone.")] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than 127.0.0.1 are a risk.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    public_url: Annotated[
        str | None, typer.Option(help="The address in links, where a proxy with TLS stands in front.")
    ] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="Another name of this server; repeat for more.")] = None,
    profile: shared.ProfileOption = "lite",
    compare: Annotated[bool, typer.Option(help="Offer the page that explains two uploaded images.")] = True,
) -> None:
    """Serve a study to annotators, with pages for its progress and for comparing two images."""
    from semetric.profiles import profile as find_profile
    from semetric.web.server import serve as run
    from semetric.web.settings import ServerSettings

    find_profile(profile)
    settings = ServerSettings(
        study=study,
        host=host,
        port=port,
        public_url=public_url,
        allowed_hosts=tuple(allow_host or ()),
        profile=profile,
        compare=compare,
    )

    def announce(link: str) -> None:
        typer.echo(f"Administrator's link, for one day:\n{link}", err=True)
        typer.echo("Ctrl-C ends the server.", err=True)

    run(settings, announce=announce)
