"""Data sets of human judgements, read where they lie: no image is decoded, and what is damaged is named."""

from __future__ import annotations

from semetric.learn.datasets.base import Dataset, DatasetSpec, ImagePair, OddOneOut, Problems, choices_of
from semetric.learn.datasets.pairs import dataset_pairing
from semetric.learn.datasets.panoptic import PanopticRecord, Relation, Segment, panoptic_ids, read_panoptic
from semetric.learn.datasets.registry import DATASETS, load_dataset, load_judgements

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetSpec",
    "ImagePair",
    "OddOneOut",
    "PanopticRecord",
    "Problems",
    "Relation",
    "Segment",
    "choices_of",
    "dataset_pairing",
    "load_dataset",
    "load_judgements",
    "panoptic_ids",
    "read_panoptic",
]
