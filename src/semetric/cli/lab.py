"""`semetric lab`: the papers' experiments on images of your own, the report of a run, and DeepJSCC's training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import accepts, choice, numbers, table, words
from semetric.cli._datasets import dataset_options
from semetric.cli._help import App
from semetric.cli._lab import run
from semetric.cli._lab_folders import folder_systems, sources_of
from semetric.cli._lab_options import ImagesArgument, Words, read_config, with_run_options
from semetric.cli._progress import training_steps

__all__ = ["app"]

app = App(help="Experiments: images through codecs, channels, transformations and edits.")


@app.verb("compression", "semetric lab compression photos --codecs jpeg,avif --metric psnr,sess --out runs/codecs")
@with_run_options
def compression(
    images: ImagesArgument,
    codecs: Annotated[Words, typer.Option(help="Codecs. Default: jpeg, jpeg2000, webp, avif.")] = None,
    rates_bpp: Annotated[Words, typer.Option(help="Target rates, bits per pixel. Default: six from 0.1 to 2.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="Relative tolerance of a target rate; default 0.03.")] = None,
    **options: Any,
) -> None:
    """Rate–distortion curves: codecs at target rates."""
    own = {"codecs": choice(codecs), "rates_bpp": numbers("--rates-bpp", rates_bpp), "tolerance": tolerance}
    run("compression", images, own, options)


@app.verb("channel", "semetric lab channel photos --snrs-db 0,5,10,15 --metric psnr,sess --out runs/channel")
@with_run_options
def channel(
    images: ImagesArgument,
    codecs: Annotated[
        Words, typer.Option(help="Codecs of the digital links. Default: jpeg; none for no digital link.")
    ] = None,
    modulations: Annotated[Words, typer.Option(help="Modulations: bpsk, qpsk, 16qam (default), 64qam.")] = None,
    code_rate: Annotated[
        str | None, typer.Option(help="Rate of the LDPC code: 1/3, 1/2 (default), 2/3, 3/4, 5/6, 1.")
    ] = None,
    deepjscc: Annotated[
        Words, typer.Option(help="DeepJSCC networks: plain (default), 16qam, weights of your own, or none.")
    ] = None,
    uses_per_pixel: Annotated[
        float | None, typer.Option(help="Channel symbols per pixel of the digital links. Default: DeepJSCC's.")
    ] = None,
    snrs_db: Annotated[Words, typer.Option(help="Signal-to-noise ratios in dB. Default: eight from 0 to 20.")] = None,
    snr_kind: Annotated[str | None, typer.Option(help="What the SNR is: es_n0 (default) or eb_n0.")] = None,
    fading: Annotated[
        str | None, typer.Option(help="Fading: none (default), rayleigh, rayleigh_block or rayleigh_stream.")
    ] = None,
    fallback: Annotated[
        str | None, typer.Option(help="Image shown for a rejected stream: grey (default) or rows.")
    ] = None,
    **options: Any,
) -> None:
    """Codecs with LDPC against DeepJSCC, over a noisy channel."""
    own = {
        "codecs": choice(codecs),
        "modulations": words(modulations),
        "code_rate": code_rate,
        "deepjscc": choice(deepjscc),
        "uses_per_pixel": uses_per_pixel,
        "snrs_db": numbers("--snrs-db", snrs_db),
        "snr_kind": snr_kind,
        "fading": fading,
        "fallback": fallback,
    }
    run("channel", images, own, options)


@app.verb("transform", "semetric lab transform photos --transformations rotation,translation --out runs/transform")
@with_run_options
def transform(
    images: ImagesArgument,
    transformations: Annotated[
        Words, typer.Option(help="Transformations. Default: the five of SeSS's Fig. 13.")
    ] = None,
    strengths: Annotated[Words, typer.Option(help="NAME=0.02,0.06 for other strengths; repeat for more.")] = None,
    **options: Any,
) -> None:
    """Transformations that keep the meaning, at rising strength."""
    own = {"transformations": choice(transformations), "strengths": table("--strengths", strengths)}
    run("transform", images, own, options)


@app.verb("deformation", "semetric lab deformation photos --metric samscore,lpips --out runs/deformation")
@accepts(dataset_options)
@with_run_options
def deformation(
    images: Annotated[
        list[str] | None, typer.Argument(help="Image files, and folders of them; or the folder of sources.")
    ] = None,
    translated: Annotated[
        str | None,
        typer.Option(
            help="A folder of translations of the sources, by name: they are deformed, and scored against the sources."
        ),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="A CSV file of such pairs: reference (the source), image (the translation).")
    ] = None,
    deformations: Annotated[
        Words, typer.Option(help="Standard deviations of the mesh points, as shares of the side.")
    ] = None,
    noises: Annotated[Words, typer.Option(help="Standard deviations of Gaussian noise, on the scale 0 to 255.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the deformed mesh.")] = None,
    columns: Annotated[int | None, typer.Option(help="Columns of the deformed mesh.")] = None,
    **options: Any,
) -> None:
    """Piecewise affine deformation and noise, and what follows their strength: SAMScore's protocol.

    On images, or on pairs of a source and its translation (--translated, --pairs, --dataset).
    """
    own = {
        "deformations": numbers("--deformations", deformations),
        "noises": numbers("--noises", noises),
        "rows": rows,
        "columns": columns,
    }
    named_set = {name: options.pop(name) for name in ("dataset", "root", "split", "option")}
    run("deformation", sources_of(images, translated, pairs, **named_set), own, options)


@app.verb("edits", "semetric lab edits photos --edits content,layout --out runs/edits")
@with_run_options
def edits(
    images: ImagesArgument,
    edits: Annotated[
        Words, typer.Option(help="Edits, or dimensions: colour, texture, layout, pose, content (all five by default).")
    ] = None,
    strengths: Annotated[Words, typer.Option(help="Strengths, above 0 and up to 1.")] = None,
    donors: Annotated[
        Words, typer.Option(help="Photos that give objects to 'replace' and 'insert'. Default: the images.")
    ] = None,
    **options: Any,
) -> None:
    """Edits of objects that change the meaning."""
    own = {"edits": choice(edits), "strengths": numbers("--strengths", strengths), "donors": words(donors)}
    run("edits", images, own, options)


@app.verb("levels", "semetric lab levels originals noise_10 noise_20 noise_40 --out runs/noise")
@with_run_options
def levels(
    originals: Annotated[str, typer.Argument(help="The folder of originals.")],
    folders: Annotated[
        list[str],
        typer.Argument(
            help="A folder a level; images pair with originals by name. NAME=DIR,DIR, or NAME=PATTERN, for a system "
            "of that name; repeat for more."
        ),
    ],
    levels: Annotated[
        Words, typer.Option(help="A level a folder, or NAME=1,2,3. Default: the number in its name, else 1, 2, 3, ….")
    ] = None,
    rates: Annotated[
        list[str] | None,
        typer.Option(
            help="What the images took: 'files' where they are the streams, a CSV file with the columns image, "
            "size_bytes or rate_bpp, level and system, or NAME=DIR,DIR of streams; NAME=… for one system."
        ),
    ] = None,
    against: Annotated[str | None, typer.Option(help="The axis: level, or rate in bits per pixel.")] = None,
    codecs: Annotated[Words, typer.Option(help="Codecs beside, at target rates; the axis is then the rate.")] = None,
    rates_bpp: Annotated[Words, typer.Option(help="Their target rates. Default: six from 0.1 to 2.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the curve of folders without NAME; default 'levels'.")
    ] = None,
    level_label: Annotated[str | None, typer.Option(help="Label of the axis of levels.")] = None,
    level_unit: Annotated[str | None, typer.Option(help="Unit of a level.")] = None,
    fit: Annotated[
        str | None, typer.Option(help="original (default) brings images to their original's size; none leaves them.")
    ] = None,
    **options: Any,
) -> None:
    """Images made elsewhere, at rising noise or any other level; several systems; against the rate, beside codecs."""
    own = {
        "originals": originals,
        **folder_systems(folders, levels, rates),
        "against": against,
        "codecs": choice(codecs),
        "rates_bpp": numbers("--rates-bpp", rates_bpp),
        "name": name,
        "level_label": level_label,
        "level_unit": level_unit,
        "fit": fit,
    }
    run("levels", [], own, options)


@app.verb("report", "semetric lab report runs/codecs")
def report(
    runs: Annotated[
        list[Path], typer.Argument(help="The folder of an experiment; several of one kind make one report.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the report goes. Default: report, or report-merged, inside the first run."),
    ] = None,
    as_json: shared.JsonOption = False,
) -> None:
    """Write the report of a run, or of several together: a page, figures as PDF and PNG, tables as CSV and LaTeX."""
    from semetric.report.lab import write_report

    page = write_report(runs, out)
    if as_json:
        shared.show_json({"page": str(page)})
    else:
        typer.echo(str(page))


@app.verb("train-deepjscc", "semetric lab train-deepjscc photos --out deepjscc --steps 2000")
def train_deepjscc(
    photos: Annotated[Path, typer.Argument(help="The folder of photos to train on.")],
    out: Annotated[Path, typer.Option(help="The folder of weights, checkpoint and learning curve; resumes.")],
    config: Annotated[Path | None, typer.Option(help="A TOML file of options of the training; flags win.")] = None,
    symbols: Annotated[int | None, typer.Option(help="Channel symbols per 8 × 8 pixels.")] = None,
    constellation: Annotated[str | None, typer.Option(help="Constellation of the symbols: none or 16qam.")] = None,
    fading: Annotated[str | None, typer.Option(help="Fading during the training: none or rayleigh.")] = None,
    snr_min_db: Annotated[float | None, typer.Option(help="The lowest SNR of the training.")] = None,
    snr_max_db: Annotated[float | None, typer.Option(help="The highest SNR of the training.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of training steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Patches per step.")] = None,
    patch: Annotated[int | None, typer.Option(help="Side of a patch in pixels, a multiple of 8.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin with, for fine-tuning.")] = None,
    device: shared.DeviceOption = "auto",
    as_json: shared.JsonOption = False,
) -> None:
    """Train a DeepJSCC network on a folder of photos."""
    from semetric.lab.deepjscc import DeepJsccTraining
    from semetric.lab.deepjscc.training import train
    from semetric.settings import from_values

    values = read_config(config, "train-deepjscc")
    network = shared.given(
        symbols=symbols, constellation=constellation, fading=fading, snr_min_db=snr_min_db, snr_max_db=snr_max_db
    )
    values |= shared.given(steps=steps, batch=batch, patch=patch, seed=seed)
    if network:
        values["network"] = {**values.get("network", {}), **network}
    chosen = from_values(DeepJsccTraining, values)
    with training_steps() as progress:
        done = train(photos, out, chosen, start=start, device=_device(device), progress=progress)
    if as_json:
        shared.show_json(
            {
                "weights": str(done.weights),
                "curve": str(done.curve),
                "step": done.step,
                "psnr_db": done.psnr_db,
                "stopped_early": done.stopped_early,
                "photos": list(done.photos),
                "config": chosen.to_dict(),
            }
        )
    else:
        typer.echo(f"{done.weights}: {done.psnr_db:.2f} dB held out, after {done.step} steps")


def _device(name: str) -> str:
    """cpu or cuda, where auto is asked for."""
    from semetric.models.runtime import Runtime

    return Runtime(device=name).device
