"""Model folders in the layout of the hub: which files count, their digests, and the manifest of a fetch.

A fetched folder carries a manifest: the commit that the main branch stood for when it was first fetched,
and the size and SHA-256 of each file then. No digests are known beforehand, so the first fetch is
trusted and every later use is held against it. A folder that the user brings may have no manifest: its
files are digested, and the digest names it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semetric.errors import WeightsCorruptError
from semetric.weights.digests import sha256_of

__all__ = ["MANIFEST", "ModelFolder", "complete", "wanted", "write_manifest"]

MANIFEST = "semetric-manifest.json"

# Beside the weights. Anything else in a folder is neither fetched nor read.
_PLAIN = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
# In order of preference; a model in several parts has names such as model-00001-of-00002.safetensors.
_WEIGHTS = (r"model(-\d{5}-of-\d{5})?\.safetensors", r"pytorch_model(-\d{5}-of-\d{5})?\.bin")


def wanted(names: Iterable[str]) -> tuple[str, ...]:
    """Those files of a folder that a model is built from, sorted: safetensors rather than pickles, not both.

    Args:
        names: the folder's files, relative to it.

    Example:
        >>> wanted(["config.json", "model.safetensors", "pytorch_model.bin", "README.md"])
        ('config.json', 'model.safetensors')
    """
    there = set(names)
    chosen = {name for name in _PLAIN if name in there}
    for pattern in _WEIGHTS:
        weights = {name for name in there if re.fullmatch(pattern, name)}
        whole = {name for name in weights if "-of-" not in name}
        if weights:
            chosen |= whole or weights
            break
    return tuple(sorted(chosen))


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A folder of one model, and how it is known.

    Attributes:
        place: the folder.
        name: what results call it.
        tag: the beginning of the commit that it was fetched at; "" where no manifest tells.
        digests: file → SHA-256 in hex, as the manifest or, without one, the files themselves have it.
        sizes: file → bytes, as the manifest or the files have it.
        commit: the whole commit, or "".
    """

    place: Path
    name: str
    tag: str
    digests: Mapping[str, str]
    sizes: Mapping[str, int]
    commit: str = ""

    @classmethod
    def of(cls, place: Path, name: str) -> ModelFolder:
        """Reads the manifest, and where there is none, every file.

        Raises:
            WeightsCorruptError: a manifest or a file that cannot be read, or no weights in the folder.
        """
        recorded = cls.recorded(place, name)
        if recorded is not None:
            return recorded
        try:
            files = wanted(file.name for file in place.iterdir() if file.is_file())
            digests = {file: sha256_of(place / file) for file in files}
            sizes = {file: (place / file).stat().st_size for file in files}
        except OSError as error:
            raise WeightsCorruptError(f"Expected a readable model folder; {place} is not ({error}).") from error
        complete(str(place), files)
        return cls(place=place, name=name, tag="", digests=digests, sizes=sizes)

    @classmethod
    def recorded(cls, place: Path, name: str) -> ModelFolder | None:
        """Reads the manifest alone; None where there is none.

        Raises:
            WeightsCorruptError: a manifest that cannot be read.
        """
        file = place / MANIFEST
        if not file.is_file():
            return None
        try:
            manifest: Any = json.loads(file.read_text(encoding="utf-8"))
            commit, files = str(manifest["commit"]), dict(manifest["files"])
            digests = {str(f): str(entry["sha256"]) for f, entry in files.items()}
            sizes = {str(f): int(entry["bytes"]) for f, entry in files.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise WeightsCorruptError(
                f"Expected commit and digests in {file}; it cannot be read ({type(error).__name__}: {error}). "
                "Remove the folder and fetch it again."
            ) from error
        if set(wanted(digests)) != set(digests):
            raise WeightsCorruptError(f"Expected names of a model's files in {file}; found others. Fetch it again.")
        complete(str(place), digests)
        return cls(place=place, name=name, tag=commit[:8], digests=digests, sizes=sizes, commit=commit)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that count, sorted."""
        return tuple(sorted(self.digests))

    @property
    def size_bytes(self) -> int:
        """Of all files that count."""
        return sum(self.sizes.values())

    @property
    def sha256(self) -> str:
        """One digest of all files: SHA-256 over the sorted lines "digest  name"."""
        lines = "".join(f"{self.digests[name]}  {name}\n" for name in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def identity(self) -> str:
        """ "name.commit@digest", both cut short; without a manifest "name@digest"."""
        return f"{self.name}{'.' + self.tag if self.tag else ''}@{self.sha256[:12]}"

    def check(self) -> str | None:
        """What is wrong with the files, in words; None where each is what it was."""
        for name in self.files:
            file = self.place / name
            try:
                if file.stat().st_size != self.sizes[name]:
                    return f"{name} has {file.stat().st_size} bytes instead of {self.sizes[name]}"
                actual = sha256_of(file)
            except OSError as error:
                return f"{name} cannot be read ({error.strerror or error})"
            if actual != self.digests[name]:
                return f"the SHA-256 of {name} begins {actual[:12]} instead of {self.digests[name][:12]}"
        return None


def write_manifest(place: Path, *, repo: str, commit: str) -> None:
    """Writes down what is in a folder that was just fetched.

    Raises:
        WeightsCorruptError: no weights in the folder.
        OSError: it cannot be written.
    """
    model = ModelFolder.of(place, repo)
    files = {name: {"bytes": model.sizes[name], "sha256": model.digests[name]} for name in model.files}
    text = json.dumps({"repo": repo, "commit": commit, "files": files}, indent=2)
    (place / MANIFEST).write_text(text + "\n", encoding="utf-8")


def complete(place: str, files: Collection[str]) -> None:
    """Raises WeightsCorruptError unless these files, found at that place, make a model."""
    weights = [name for name in files if name.endswith((".safetensors", ".bin"))]
    if "config.json" not in files:
        raise WeightsCorruptError(
            f"Expected a model folder as transformers writes it, with config.json; {place} has none."
        )
    if not weights:
        raise WeightsCorruptError(
            f"Expected model.safetensors or pytorch_model.bin in {place}; found no weights. Fetch or copy them."
        )
    for name in weights:
        parts = re.search(r"-of-(\d{5})", name)
        if parts and len(weights) != int(parts[1]):
            raise WeightsCorruptError(
                f"Expected {int(parts[1])} parts of the weights in {place}; found {len(weights)}."
            )
