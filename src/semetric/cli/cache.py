"""`semetric cache`: what the disk cache holds, and emptying it."""

from __future__ import annotations

from typing import Annotated

import typer

from semetric.cli import _console as shared
from semetric.cli._help import App

__all__ = ["app"]

app = App(help="Cached masks, embeddings and scene graphs.")


@app.verb("info", "semetric cache info")
def info(as_json: shared.JsonOption = False) -> None:
    """Show the folder, the number of entries, their size and its bound."""
    from semetric.cache import default_store
    from semetric.weights.lookup import human

    store = default_store().info()
    if as_json:
        shared.show_json(
            {
                "folder": str(store.root),
                "entries": store.entries,
                "size_bytes": store.size_bytes,
                "max_bytes": store.max_bytes,
            }
        )
        return
    typer.echo(f"{store.root}: {store.entries} entries, {human(store.size_bytes)} of {human(store.max_bytes)}")


@app.verb("clear", "semetric cache clear --weights")
def clear(
    as_json: shared.JsonOption = False,
    weights: Annotated[bool, typer.Option("--weights", help="Remove the fetched weights as well.")] = False,
) -> None:
    """Remove every cached result. Weights stay unless --weights is given."""
    from semetric.cache import default_store
    from semetric.weights.lookup import human

    removed = default_store().clear()
    files, size = removed.entries, removed.size_bytes
    if weights:
        from semetric.weights import clear as clear_weights

        more = clear_weights()
        files, size = files + more[0], size + more[1]
    if as_json:
        shared.show_json({"folder": str(removed.root), "removed": files, "size_bytes": size})
        return
    typer.echo(f"Removed {files} {'file' if files == 1 else 'files'}, {human(size)}.")
