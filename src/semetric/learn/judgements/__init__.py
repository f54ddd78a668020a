"""Judgements of people in one SQLite file: studies, items, annotators, answers; import and export."""

from __future__ import annotations

from semetric.learn.judgements.records import Annotator, Answer, Item, Published, StoredJudgement, Study, StudySettings
from semetric.learn.judgements.store import JudgementStore

__all__ = ["Annotator", "Answer", "Item", "JudgementStore", "Published", "StoredJudgement", "Study", "StudySettings"]
