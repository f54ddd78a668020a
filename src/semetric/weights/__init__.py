"""Checkpoints: what they are, where they come from, and whether the copy here is the right one.

Nothing here downloads except `fetch`, which says what and how large before it starts.
"""

from __future__ import annotations

from semetric.weights.checkpoint import ByHand, Checkpoint, HubFile, HubFolder, PackageMember
from semetric.weights.fetching import clear, downloads, expand, fetch, fetch_file
from semetric.weights.folders import ModelFolder
from semetric.weights.lookup import (
    WEIGHTS_DIR_ENV,
    absent_of,
    file_identity,
    identity,
    locate,
    locate_all,
    missing_together,
    path,
    verify,
    weights_folder,
    with_one_command,
)
from semetric.weights.records import BUNDLES, CHECKPOINTS, FOLDERS, RELATE_ANYTHING
from semetric.weights.restricted import load_arrays

__all__ = [
    "BUNDLES",
    "CHECKPOINTS",
    "FOLDERS",
    "RELATE_ANYTHING",
    "WEIGHTS_DIR_ENV",
    "ByHand",
    "Checkpoint",
    "HubFile",
    "HubFolder",
    "ModelFolder",
    "PackageMember",
    "absent_of",
    "clear",
    "downloads",
    "expand",
    "fetch",
    "fetch_file",
    "file_identity",
    "identity",
    "load_arrays",
    "locate",
    "locate_all",
    "missing_together",
    "path",
    "verify",
    "weights_folder",
    "with_one_command",
]
