"""`semetric learn study`: creates, fills, shows and exports study files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import accepts, taken
from semetric.cli._help import App
from semetric.cli._tables import Column, TerminalTable, show_tables
from semetric.errors import ImageError, UsageError
from semetric.learn.judgements.records import StudySettings

if TYPE_CHECKING:
    from semetric.learn.judgements import Annotator, JudgementStore, Study

__all__ = ["app"]

app = App(help="Study files: items and human judgements.")

FileArgument = Annotated[Path, typer.Argument(help="The study file.")]
StudyOption = Annotated[
    str | None, typer.Option("--study", "--name", help="The study's name, where the file holds several.")
]
AnnotatorOption = Annotated[str, typer.Option(help="Name of the annotator.")]
FORMATS = ("csv", "jsonl", "nights", "bapps")


@app.verb("create", "semetric learn study create study.sqlite --study pilot --kind choice --images photos")
@accepts(StudySettings)
def create(
    file: Annotated[Path, typer.Argument(help="The study file; one that exists gets another study.")],
    study: Annotated[str, typer.Option("--study", "--name", help="Name of the new study.")],
    kind: Annotated[str, typer.Option(help="choice (the closer one), score (each in [0, 1]) or same (or different).")],
    images: Annotated[Path, typer.Option(help="The folder that image paths start from.")],
    instructions: Annotated[Path | None, typer.Option(help="A text file that annotators read first.")] = None,
    **choices: Any,
) -> None:
    """Make an empty study."""
    from semetric.learn.judgements import JudgementStore

    if not images.is_dir():
        raise ImageError(f"Expected a folder of images; {images} is none.")
    settings = StudySettings.from_dict(taken(StudySettings, choices))
    words = "" if instructions is None else _text(instructions)
    with JudgementStore(file, create=True) as store:
        created = store.create_study(study, _kind(kind), images.resolve(), instructions=words, settings=settings)
    typer.echo(f"{file}: {created.kind} study {created.name!r}", err=True)


@app.verb("import", "semetric learn study import study.sqlite triplets.csv --study pilot")
def import_(
    file: FileArgument,
    source: Annotated[
        Path | None, typer.Argument(help="A CSV table, a JSONL export, NIGHTS's data.csv; nothing for bapps.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="csv, jsonl, nights or bapps.")] = "csv",
    study: StudyOption = None,
    images: Annotated[Path | None, typer.Option(help="For jsonl: the image folder of a new study.")] = None,
) -> None:
    """Fill a study with items and judgements; what is there already stays as it is."""
    from semetric.learn.datasets.bapps import load_bapps, load_bapps_jnd
    from semetric.learn.datasets.nights import load_nights
    from semetric.learn.judgements import JudgementStore
    from semetric.learn.judgements.jsonl import import_jsonl
    from semetric.learn.judgements.pooled import import_dataset
    from semetric.learn.judgements.table import import_csv

    _check_format(form)
    if (source is None) != (form == "bapps"):
        raise UsageError("Expected a file to import; for bapps none: its folders lie below the study's image folder.")
    with JudgementStore(file, create=form == "jsonl") as store:
        if form == "jsonl" and source is not None:
            folder = None if images is None else str(images.resolve())
            filled = import_jsonl(store, _text(source).split("\n"), name=study, image_root=folder)
            new, old = sum(1 for _ in store.items(filled)), 0
        else:
            filled = store.study(study)
            root = store.root(filled)
            if form == "bapps":
                load = load_bapps_jnd if filled.kind == "same" else load_bapps
                new, old = import_dataset(store, filled, load(root), form)
            elif form == "nights" and source is not None:
                new, old = import_dataset(store, filled, load_nights(source, min_votes=0, images=str(root)), form)
            else:
                new, old = import_csv(store, filled, source or "")
    there = f", {old} were there" if old else ""
    typer.echo(f"{file}: {new} items in {filled.name!r}{there}", err=True)


@app.verb("export", "semetric learn study export study.sqlite --format csv --out judgements.csv")
def export(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="The file, or for bapps the new folder, to write.")],
    form: Annotated[str, typer.Option("--format", help="csv, jsonl (everything), nights or bapps.")] = "jsonl",
    study: StudyOption = None,
) -> None:
    """Write a study out."""
    from semetric.learn.datasets.bapps import export_bapps
    from semetric.learn.datasets.nights import nights_table
    from semetric.learn.judgements import JudgementStore
    from semetric.learn.judgements.jsonl import study_lines
    from semetric.learn.judgements.pooled import pool
    from semetric.learn.judgements.table import table_text
    from semetric.results.files import write_whole

    _check_format(form)
    with JudgementStore(file) as store:
        chosen = store.study(study)
        if form == "bapps":
            pooled = pool(store, chosen)
            export_bapps(chosen, pooled, store.root(chosen), out)
            typer.echo(f"{len(pooled)} items", err=True)
        else:
            if form == "nights":
                text, written, left_out = nights_table(chosen, pool(store, chosen))
                typer.echo(f"{written} items; {left_out} left out, on which people did not agree", err=True)
                lines = iter([text])
            else:
                lines = iter([table_text(store, chosen)]) if form == "csv" else study_lines(store, chosen)
            write_whole(out, lambda stream: stream.writelines(line.encode() for line in lines))
    typer.echo(str(out))


@app.verb("info", "semetric learn study info study.sqlite")
def info(file: FileArgument, study: StudyOption = None, as_json: shared.JsonOption = False) -> None:
    """Show the progress of the studies of a file, or of one."""
    from semetric.learn.judgements import JudgementStore

    with JudgementStore(file) as store:
        studies = store.studies() if study is None else [store.study(study)]
        facts_of = [_facts(store, each) for each in studies]
    if as_json:
        shared.show_json({"studies": facts_of})
        return
    titles = ("items", "checks", "judgements", "annotators", "alpha")
    table = TerminalTable([Column("study", "key"), Column("kind", "word"), *map(Column, titles)])
    for facts in facts_of:
        alpha = "–" if math.isnan(facts["alpha"]) else f"{facts['alpha']:.3f}"
        numbers = [str(facts[key]) for key in ("items", "checks", "judgements")]
        table.add_row(facts["name"], facts["kind"], *numbers, str(len(facts["annotators"])), alpha)
    show_tables(table)


@app.verb("link", "semetric learn study link study.sqlite --annotator ada")
def link(
    file: FileArgument,
    annotator: Annotated[str, typer.Option(help="Name of the annotator.")],
    url: Annotated[str, typer.Option(help="The address at which the server is reached.")] = "http://127.0.0.1:8000",
    days: Annotated[float, typer.Option(help="Days for which the link is valid.")] = 14,
    study: StudyOption = None,
) -> None:
    """Print a signed link for an annotator; whoever has it judges in that name."""
    from semetric.learn.judgements import JudgementStore
    from semetric.web.signing import Signer, annotator_link, study_secret

    with JudgementStore(file) as store:
        chosen = store.study(study)
        signer = Signer(study_secret(store))
        typer.echo(annotator_link(signer, chosen, store.annotator(chosen, annotator), url, days=days))


@app.verb("exclude", "semetric learn study exclude study.sqlite --annotator eve")
def exclude(
    file: FileArgument,
    annotator: AnnotatorOption,
    study: StudyOption = None,
    again: Annotated[bool, typer.Option("--count-again", help="Take the exclusion back.")] = False,
) -> None:
    """Exclude an annotator's judgements from all counts; nothing is deleted, and it can be taken back."""
    from semetric.learn.judgements import JudgementStore

    with JudgementStore(file) as store:
        changed = store.exclude(_annotator(store, study, annotator), not again)
    state = "counts" if again else "does not count any more"
    typer.echo(f"{file}: {changed.name!r} {state}", err=True)


@app.verb("revoke", "semetric learn study revoke study.sqlite --annotator ada")
def revoke(file: FileArgument, annotator: AnnotatorOption, study: StudyOption = None) -> None:
    """End all links of an annotator; a link that is made later holds."""
    from semetric.learn.judgements import JudgementStore

    with JudgementStore(file) as store:
        changed = store.revoke(_annotator(store, study, annotator))
    typer.echo(f"{file}: no earlier link of {changed.name!r} holds any more", err=True)


def _annotator(store: JudgementStore, study: str | None, name: str) -> Annotator:
    from semetric.learn.judgements.records import normal_name

    chosen = store.study(study)
    known = store.annotators(chosen)
    for annotator in known:
        if normal_name(annotator.name) == normal_name(name):
            return annotator
    names = ", ".join(repr(annotator.name) for annotator in known) or "nobody"
    raise UsageError(f"Expected an annotator of {chosen.name!r}: {names}; found {name!r}.")


def _facts(store: JudgementStore, study: Study) -> dict[str, Any]:
    from dataclasses import asdict

    from semetric.learn.judgements.summary import summarise

    summary = summarise(store, study)
    facts = {
        key: getattr(summary, key) for key in ("items", "checks", "judgements", "wanted", "complete", "alpha", "units")
    }
    people = [asdict(annotator) for annotator in summary.annotators]
    return {"name": study.name, "kind": study.kind, **facts, "annotators": people}


def _kind(kind: str) -> Any:
    return kind  # the store refuses what is none


def _check_format(form: str) -> None:
    if form not in FORMATS:
        raise UsageError(f"Expected --format {', '.join(FORMATS)}; found {form!r}.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"Expected a text file in UTF-8; {path}: {error}.") from error
