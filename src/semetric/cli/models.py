"""`semetric models`: which weights there are, which are here, and fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._help import App
from semetric.cli._tables import Column, TerminalTable, show_tables
from semetric.errors import UsageError, WeightsCorruptError, WeightsError, WeightsMissingError

__all__ = ["app"]

app = App(help="The weights behind the metrics.")


@app.verb("list", "semetric models list")
def list_(as_json: shared.JsonOption = False) -> None:
    """List every checkpoint and model folder, and what is brought by hand: where it is, its size, its licence."""
    from semetric.weights import BUNDLES, CHECKPOINTS, FOLDERS, WEIGHTS_DIR_ENV
    from semetric.weights.lookup import human, own_folders, present, present_folder, weights_folder

    rows = [_row(one, present(one)) for one in CHECKPOINTS.values()]
    folders = [_folder_row(one, present_folder(one.name)) for one in FOLDERS.values()]
    by_hand = _by_hand()
    if as_json:
        shared.show_json(
            {
                "folder": str(weights_folder()),
                "checkpoints": rows,
                "folders": folders,
                "by_hand": by_hand,
                "bundles": {k: list(v) for k, v in BUNDLES.items()},
            }
        )
        return
    from rich.text import Text

    table = TerminalTable(
        [
            Column("name", "key"),
            Column("here", "word"),
            Column("size"),
            Column("licence", "text"),
            Column("source", "text", "dim"),
        ]
    )
    for row in (*rows, *folders, *by_hand):
        cached = row["present"] and Path(row["path"]).is_relative_to(weights_folder())
        here = Text("cache" if cached else WEIGHTS_DIR_ENV, style="green") if row["present"] else "no"
        size = "–" if row["size_bytes"] is None else human(row["size_bytes"])
        table.add_row(row["name"], here, size, row["licence"], row["sources"][-1])
    show_tables(table)
    typer.echo(f"cache: {weights_folder()}")
    for place in own_folders():
        typer.echo(f"{WEIGHTS_DIR_ENV}: {place}")
    typer.echo(f"bundles: {', '.join(BUNDLES)}")


@app.verb("fetch", "semetric models fetch lite", "semetric models fetch sam_vit_h --from sam_vit_h_4b8939.pth")
def fetch(
    names: Annotated[list[str], typer.Argument(help="Checkpoints or bundles, e.g. lite.")],
    from_: Annotated[
        Path | None, typer.Option("--from", help="Take the one checkpoint from this file instead of downloading it.")
    ] = None,
    as_json: shared.JsonOption = False,
) -> None:
    """Download checkpoints that are missing or damaged; says what and how large first."""
    from semetric.weights import expand, fetch_file, identity

    wanted = expand(names)
    if from_ is not None and len(wanted) != 1:
        raise UsageError(f"Expected one checkpoint with --from; found {len(wanted)}.")
    found = {}
    for name in wanted:
        found[name] = fetch_file(name, from_) if from_ is not None else _fetch_shown(name)
        if not as_json:
            typer.echo(f"{identity(name)}  {found[name]}")
    if as_json:
        shared.show_json([{"name": n, "identity": identity(n), "path": str(p)} for n, p in found.items()])


@app.verb("verify", "semetric models verify lite")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Checkpoints or bundles. Default: all that are here.")
    ] = None,
    as_json: shared.JsonOption = False,
) -> None:
    """Read checkpoints whole and compare their SHA-256."""
    from semetric.weights import CHECKPOINTS, FOLDERS, expand
    from semetric.weights import verify as verify_one
    from semetric.weights.lookup import present, present_folder

    here = [n for n, one in CHECKPOINTS.items() if present(one)] + [n for n in FOLDERS if present_folder(n)]
    wanted = expand(names) if names else here
    results: list[dict[str, Any]] = []
    failed = False
    for name in wanted:
        state, detail = "good", ""
        try:
            detail = str(verify_one(name))
        except WeightsMissingError as error:
            state, detail, failed = "missing", str(error), True
        except WeightsCorruptError as error:
            state, detail, failed = "corrupt", str(error), True
        results.append({"name": name, "state": state, "detail": detail})
        if not as_json:
            typer.echo(f"{state:8}{name}  {detail}")
    if as_json:
        shared.show_json(results)
    elif not wanted:
        typer.echo("No checkpoint is here. Run: semetric models fetch lite")
    if failed:
        raise typer.Exit(WeightsError.exit_code)


@app.verb("path", "semetric models path lpips_alex")
def path(
    name: Annotated[str, typer.Argument(help="A checkpoint.")],
    as_json: shared.JsonOption = False,
) -> None:
    """Print where a checkpoint is, once its SHA-256 is found right."""
    from semetric.weights import identity, locate

    found = locate(name)
    if as_json:
        shared.show_json({"name": name, "identity": identity(name), "path": str(found)})
    else:
        typer.echo(str(found))


def _row(checkpoint: Any, here: Path | None) -> dict[str, Any]:
    return {
        "name": checkpoint.name,
        "tag": checkpoint.tag,
        "identity": checkpoint.identity,
        "present": here is not None,
        "path": str(here) if here is not None else None,
        "file_name": checkpoint.file_name,
        "size_bytes": checkpoint.size_bytes,
        "sha256": checkpoint.sha256,
        "licence": checkpoint.licence,
        "paper": checkpoint.paper,
        "preparation": checkpoint.preparation,
        "sources": list(checkpoint.origins),
    }


def _folder_row(folder: Any, here: Path | None) -> dict[str, Any]:
    """A model folder's; its digest and size are those of its manifest, and unknown where there is none."""
    from semetric.weights import ModelFolder

    try:
        found = ModelFolder.recorded(here, folder.name) if here is not None else None
    except WeightsCorruptError:  # `verify` says what is wrong
        found = None
    return {
        "name": folder.name,
        "identity": found.identity if found else None,
        "commit": found.commit if found else None,
        "present": here is not None,
        "path": str(here) if here is not None else None,
        "size_bytes": found.size_bytes if found else None,
        "sha256": found.sha256 if found else None,
        "files": list(found.files) if found else None,
        "licence": folder.licence,
        "paper": folder.paper,
        "preparation": folder.preparation,
        "sources": [str(folder)],
    }


def _by_hand() -> list[dict[str, Any]]:
    """DreamSim's variants and the Relate-Anything head: no command fetches them, and their digests are unpublished."""
    from semetric.models.dreamsim.files import find_files
    from semetric.models.dreamsim.variants import VARIANTS
    from semetric.weights import RELATE_ANYTHING, ByHand
    from semetric.weights.lookup import own_folders, weights_folder

    rows = []
    for variant in VARIANTS.values():
        found: list[Path] = []
        try:
            files = find_files(variant, None)
            found = [one.path for one in (*files.trunks, files.adapter, files.config) if one is not None]
        except WeightsError:  # missing, or damaged: scoring says which
            pass
        one = ByHand(
            name=f"dreamsim_{variant.name}",
            file_name=variant.archive,
            licence="MIT (DreamSim); its trunks' own",
            paper="Fu et al., DreamSim, NeurIPS 2023",
            source=f"github.com/ssundaram21/dreamsim, {variant.release}",
            option="--dreamsim-weights PATH",
        )
        rows.append(_hand_row(one, list(dict.fromkeys(found))))
    head = [place / RELATE_ANYTHING.file_name for place in (*own_folders(), weights_folder())]
    rows.append(_hand_row(RELATE_ANYTHING, [file for file in head if file.is_file()][:1]))
    return rows


def _hand_row(one: Any, found: list[Path]) -> dict[str, Any]:
    return {
        "name": one.name,
        "present": bool(found),
        "path": str(found[-1]) if found else None,
        "file_name": one.file_name,
        "size_bytes": sum(file.stat().st_size for file in found) if found else None,
        "licence": one.licence,
        "paper": one.paper,
        "option": one.option,
        "sources": [str(one)],
    }


def _fetch_shown(name: str) -> Path:
    from semetric.weights import fetch as fetch_one

    with shared.download_display() as (announce, progress):
        return fetch_one(name, announce=announce, progress=progress)
