"""`semetric learn`: human judgements, and what is measured, tuned and trained with them."""

from __future__ import annotations

from semetric.cli._help import App

__all__ = ["app"]


def _verbs() -> App:
    """The verbs; their flags follow from records beside the store of judgements, which no other command reads."""
    from semetric.cli import (
        learn_calibrate,
        learn_evaluate,
        learn_study,
        learn_train,
        learn_train_relations,
        learn_tune,
    )

    verbs = App(help="")
    verbs.verb("evaluate", "semetric learn evaluate nights --root nights --metric lpips,sess")(learn_evaluate.evaluate)
    verbs.add_typer(learn_study.app, name="study")
    verbs.verb("calibrate", "semetric learn calibrate photos --objects clip_vit_b_32 --out clip.json")(
        learn_calibrate.calibrate
    )
    verbs.verb("tune", "semetric learn tune study.sqlite --study pilot --out tuned")(learn_tune.tune)
    verbs.verb("train", "semetric learn train triplets.csv --out trained --fetch")(learn_train.train)
    verbs.verb("train-relations", "semetric learn train-relations psg --out head --fetch")(
        learn_train_relations.train_relations
    )
    return verbs


app = App(help="Human judgements: collecting them, agreement with metrics, tuning, training.", verbs=_verbs)
