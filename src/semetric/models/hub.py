"""Models in the hub's folder layout (config.json, weights, tokenizer), read through transformers.

Nothing in a folder is run and nothing beside the digested files is looked at: configurations are plain
JSON for classes that are named here, tensors come from safetensors or from pickles under weights_only.
transformers is an extra (semetric[hub]) and is imported when a network is built.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from semetric.errors import MissingExtraError, UsageError, WeightsCorruptError, WeightsError
from semetric.models.preparation import Preparation
from semetric.weights import ModelFolder, identity, locate
from semetric.weights.tensors import checked_tensors, read_saved

if TYPE_CHECKING:
    from torch import Tensor, nn

    from semetric.models.runtime import Runtime

__all__ = ["HubModel", "HubNetwork", "build", "fitting", "quiet"]

_OTHER_CODE = ("attn_implementation", "auto_map", "experts_implementation", "quantization_config")


class HubModel:
    """A model that a profile names: one that `semetric models fetch` knows, or a folder of the user's own.

    Constructing it looks at no file beyond whether the folder is there.

    Args:
        choice: a name, or the path of a folder.
        names: which names there are for this purpose.
        what: what is expected, for errors: "a CLIP".
        kinds: the model types that serve, as config.json calls them.

    Raises:
        UsageError: neither such a name nor a folder.
    """

    def __init__(self, choice: str, *, names: Sequence[str], what: str, kinds: Sequence[str]) -> None:
        self.known = choice in names
        self._place = Path(choice).expanduser()
        if not self.known and not self._place.is_dir():
            raise UsageError(f"Expected {what} among {', '.join(names)} or the path of a folder; found {choice!r}.")
        self.name = choice if self.known else self._place.resolve().name
        self._choice = choice
        self._what = what
        self._kinds = tuple(kinds)

    @cached_property
    def identity(self) -> str:
        """ "name.commit@digest" as results record it; "name@digest" of a folder without a fetch's manifest.

        Raises:
            WeightsMissingError: not on this machine; the message names the command.
            WeightsCorruptError: not the layout of a model.
        """
        return identity(self._choice) if self.known else self._own.identity

    @cached_property
    def place(self) -> Path:
        """The folder, every file of it checked.

        Raises:
            WeightsMissingError: not on this machine; the message names the command.
            WeightsCorruptError: a file that is not what it was when it was fetched.
        """
        if self.known:
            return locate(self._choice)
        problem = self._own.check()
        if problem:
            raise WeightsCorruptError(
                f"{self._place} is not what was fetched into it: {problem}. Fetch or copy it again."
            )
        return self._place

    @cached_property
    def _own(self) -> ModelFolder:
        return ModelFolder.of(self._place, self.name)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """config.json.

        Raises:
            WeightsCorruptError: no JSON, or of a model of another type.
        """
        config = read_json(self.place / "config.json")
        kind = config.get("model_type")
        if kind not in self._kinds:
            raise WeightsCorruptError(
                f"Expected {self._what} (model_type {' or '.join(self._kinds)}) in {self.place}; "
                f"found model_type {kind!r}."
            )
        return config

    def preparation(self, default: Preparation) -> Preparation:
        """How images are prepared for this model: its preprocessor_config.json, else the default.

        Raises:
            WeightsCorruptError: a preparation that is not known here.
        """
        file = self.place / "preprocessor_config.json"
        if file.is_file():
            return Preparation.from_config(read_json(file), default, str(file))
        file = self.place / "processor_config.json"
        document = read_json(file).get("image_processor") if file.is_file() else None
        return Preparation.from_config(document, default, str(file)) if isinstance(document, Mapping) else default


class HubNetwork:
    """A network of the hub on a runtime. Constructing it loads nothing.

    Args:
        runtime: where the network is kept and on which device it runs.
        choice: a name of `names`, or the path of a folder.

    Raises:
        UsageError: neither.
    """

    names: ClassVar[tuple[str, ...]]
    what: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]

    def __init__(self, runtime: Runtime, choice: str) -> None:
        self.runtime = runtime
        self.model = HubModel(choice, names=self.names, what=self.what, kinds=self.kinds)
        self.name = self.model.name

    @property
    def identity(self) -> str:
        """ "name.commit@digest"; see HubModel."""
        return self.model.identity


def read_json(file: Path) -> Mapping[str, Any]:
    """A JSON object from a file.

    Raises:
        WeightsCorruptError: none, or no such file.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsCorruptError(f"Expected JSON in {file}; it cannot be read ({error}). Fetch it anew.") from error
    if not isinstance(document, dict):
        raise WeightsCorruptError(f"Expected a JSON object in {file}; found {type(document).__name__}.")
    return document


def fitting(preparation: Preparation, side: int, model: HubModel) -> Preparation:
    """The preparation, if it makes images of the side that the network takes.

    Raises:
        WeightsCorruptError: it does not.
    """
    if preparation.output != (side, side):
        raise WeightsCorruptError(
            f"Expected a preparation to {side} × {side} px, as config.json has it, in {model.place}; "
            f"found {preparation.output}."
        )
    return preparation


def build(model: HubModel, network: str, settings: str, *, spare: Sequence[str] = (), **options: Any) -> nn.Module:
    """Builds a network from a checked folder, in float32, with every parameter from the file.

    Args:
        model: the folder.
        network: the name of transformers' class.
        settings: that of its configuration.
        spare: beginnings of keys that may be left over, such as a classifier's.
        **options: of the class.

    Raises:
        MissingExtraError: transformers is not installed.
        WeightsMissingError: the folder is not on this machine.
        WeightsCorruptError: a wrong folder: named with what was expected and found.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            "Models of the hub are built by transformers, which is not installed. Run: pip install 'semetric[hub]'"
        ) from error
    import torch

    config, tensors = model.config, _tensors(model.place)
    _check_sizes(config, tensors, model.place)
    try:
        with quiet():
            built, account = getattr(transformers, network).from_pretrained(
                None,
                config=getattr(transformers, settings).from_dict(_plain(config)),
                state_dict=tensors,
                dtype=torch.float32,
                attn_implementation="sdpa",
                ignore_mismatched_sizes=True,  # reported below, by name
                output_loading_info=True,
                **options,
            )
    except WeightsError:
        raise
    except Exception as error:  # whatever a wrong configuration leads the library to
        reason = str(error).strip().partition("\n")[0]
        raise WeightsCorruptError(
            f"Expected a {config['model_type']} model in {model.place}; it cannot be built "
            f"({type(error).__name__}: {reason}). Fetch it anew."
        ) from error
    mismatched = sorted(account["mismatched_keys"])
    if mismatched:
        name, stored, expected = mismatched[0]
        raise WeightsCorruptError(
            f"Expected {name} of shape {tuple(expected)} in {model.place}; found {tuple(stored)}: "
            "config.json and the weights are not of one model."
        )
    missing = sorted(account["missing_keys"])
    if missing:
        raise WeightsCorruptError(
            f"Expected all parameters of a {config['model_type']} model in {model.place}; {len(missing)} are missing, "
            f"such as {missing[0]}. Fetch it anew."
        )
    left = sorted(key for key in account["unexpected_keys"] if not key.startswith(tuple(spare)))
    if left:
        raise WeightsCorruptError(
            f"Expected the parameters of a {config['model_type']} model and no others in {model.place}; "
            f"found {len(left)} more, such as {left[0]}: config.json and the weights are not of one model."
        )
    return cast("nn.Module", built)


# Settings that are sides of tensors, and the least that each may be whatever the tensors are: configurations carry
# defaults that nothing uses.
_SIDES = ("hidden_size", "intermediate_size", "max_position_embeddings", "patch_size", "projection_dim", "vocab_size")
_LEAST_SIDE = 1024
_LEAST_LAYERS = 48
_MAX_DEPTH = 16  # of a configuration in a configuration; two are usual


def _check_sizes(config: Mapping[str, Any], tensors: Mapping[str, Tensor], place: Path, depth: int = 0) -> None:
    """Refuses a configuration of a far larger network than its tensors, before anything is built of it.

    Each width, and the number of patches, is the length of some tensor's side, and each layer has tensors of its own.

    Raises:
        WeightsCorruptError: too large a number, or too many levels.
    """
    longest = max(_LEAST_SIDE, *(side for tensor in tensors.values() for side in tensor.shape), 0)
    wanted = {key: (_largest(config.get(key)), longest) for key in _SIDES}
    wanted["num_hidden_layers"] = (_largest(config.get("num_hidden_layers")), max(_LEAST_LAYERS, len(tensors)))
    patch = _largest(config.get("patch_size")) or 16
    wanted["image_size"] = (_largest(config.get("image_size")), patch * (longest**0.5 + 1))
    wanted["mlp_ratio"] = (_largest(config.get("mlp_ratio")) * _largest(config.get("hidden_size")), longest)
    for key, (value, most) in wanted.items():
        if not value <= most:  # NaN, too
            raise WeightsCorruptError(
                f"Expected {key} as the tensors in {place} have it; found {str(config[key])[:40]}: "
                "config.json and the weights are not of one model."
            )
    for part in config.values():
        if isinstance(part, Mapping):
            if depth == _MAX_DEPTH:
                raise WeightsCorruptError(
                    f"Expected config.json of at most {_MAX_DEPTH} levels in {place}; found more."
                )
            _check_sizes(part, tensors, place, depth + 1)


def _largest(value: Any) -> float:
    """The number, or the largest of a list; 0 for anything else, which the library itself refuses."""
    if isinstance(value, list):
        return max(map(_largest, value[:4]), default=0.0)
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:
        return float("inf")


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what asks the library for other code, such as quantisers and kernels."""
    return {
        key: _plain(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if not key.startswith("_") and key not in _OTHER_CODE
    }


def _tensors(place: Path) -> dict[str, Tensor]:
    """All parameters of a folder, by name. Nothing in the files is run."""
    tensors: dict[str, Tensor] = {}
    for name in ModelFolder.of(place, place.name).files:
        file = place / name
        if file.suffix not in {".safetensors", ".bin"}:
            continue

        def refuse(why: str, file: Path = file) -> WeightsCorruptError:
            return WeightsCorruptError(f"Expected tensors in {file}; it {why}. Nothing in it was run. Fetch it anew.")

        tensors |= checked_tensors(read_saved(file, refuse, safetensors=file.suffix == ".safetensors"), refuse)
    return tensors


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers from drawing bars and writing reports: what matters of them becomes an error here."""
    from transformers.utils import logging

    log: Any = logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()
