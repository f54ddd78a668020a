"""`semetric learn`: human judgements, and what is measured, tuned and trained with them."""

from __future__ import annotations

import typer

from semetric.cli import learn_calibrate, learn_evaluate, learn_study, learn_train, learn_train_relations, learn_tune

__all__ = ["app"]

app = typer.Typer(help="Human judgements: collect, agree, tune, train.", no_args_is_help=True)

app.command("evaluate")(learn_evaluate.evaluate)
app.add_typer(learn_study.app, name="study")
app.command("calibrate")(learn_calibrate.calibrate)
app.command("tune")(learn_tune.tune)
app.command("train")(learn_train.train)
app.command("train-relations")(learn_train_relations.train_relations)
