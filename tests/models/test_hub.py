from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from semetric.errors import MissingExtraError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.clip import CLIPS, Clip
from semetric.models.hub import HubModel, quiet
from semetric.models.runtime import Runtime
from semetric.models.vit_trunks import VitTrunk
from semetric.weights import ModelFolder

Copied = Callable[[Path, str], Path]
WEIGHTS = "model.safetensors"
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def embedding(place: Path) -> np.ndarray:
    return Clip(Runtime("lite", device="cpu"), str(place)).embed_crops([IMAGE], batch=1)


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """float32 rounding: where a file's tensors begin in memory changes the order of sums."""
    np.testing.assert_allclose(found, expected, atol=1e-6)


def rewritten(place: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    tensors = load_file(place / WEIGHTS)
    change(tensors)
    save_file(tensors, place / WEIGHTS)
    return place


def test_pickled_and_split_weights_give_the_same_network(tiny_clip: Path, copied: Copied) -> None:
    expected = embedding(tiny_clip)
    tensors = load_file(tiny_clip / WEIGHTS)
    pickled, split = copied(tiny_clip, "pickled"), copied(tiny_clip, "split")
    for place in (pickled, split):
        (place / WEIGHTS).unlink()
    torch.save(tensors, pickled / "pytorch_model.bin")
    names = sorted(tensors)
    for i, part in enumerate((names[:30], names[30:]), start=1):
        save_file({name: tensors[name] for name in part}, split / f"model-0000{i}-of-00002.safetensors")
    same(embedding(pickled), expected)
    same(embedding(split), expected)
    (split / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsCorruptError, match="2 parts of the weights"):
        embedding(split)


def test_safetensors_are_preferred(tiny_clip: Path, copied: Copied) -> None:
    place = copied(tiny_clip, "both")
    (place / "pytorch_model.bin").write_bytes(b"never read")
    same(embedding(place), embedding(tiny_clip))
    assert "pytorch_model.bin" not in ModelFolder.of(place, "both").files


def test_buffers_of_older_files_are_no_error(tiny_clip: Path, copied: Copied) -> None:
    place = copied(tiny_clip, "older")
    rewritten(place, lambda t: t.update({"vision_model.embeddings.position_ids": torch.arange(26)[None]}))
    same(embedding(place), embedding(tiny_clip))


class Evil:
    """Unpickling this would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.target, "run")


def test_a_pickle_that_is_a_program_is_not_run(tiny_clip: Path, copied: Copied, tmp_path: Path) -> None:
    place = copied(tiny_clip, "evil")
    (place / WEIGHTS).unlink()
    for data in (pickle.dumps({"a": Evil(tmp_path / "ran")}), b"", b"no pickle"):
        (place / "pytorch_model.bin").write_bytes(data)
        with pytest.raises(WeightsCorruptError, match=r"tensors in .*pytorch_model\.bin.*Nothing in it was run"):
            embedding(place)
    torch.save({"a": Evil(tmp_path / "ran")}, place / "pytorch_model.bin")
    with pytest.raises(WeightsCorruptError, match="Nothing in it was run"):
        embedding(place)
    torch.save([1, 2], place / "pytorch_model.bin")
    with pytest.raises(WeightsCorruptError, match="holds a list, no names with tensors"):
        embedding(place)
    assert not (tmp_path / "ran").exists()


def spoil_config(place: Path, **values: object) -> None:
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, **values}))


def test_wrong_folders_are_named(tiny_clip: Path, tiny_vit: Path, copied: Copied) -> None:
    place = copied(tiny_clip, "no_config")
    (place / "config.json").unlink()
    with pytest.raises(WeightsCorruptError, match=r"with config\.json; .*no_config has none"):
        embedding(place)
    place = copied(tiny_clip, "no_weights")
    (place / WEIGHTS).unlink()
    with pytest.raises(WeightsCorruptError, match=r"no_weights; found no weights"):
        embedding(place)
    with pytest.raises(WeightsCorruptError, match=r"Expected a CLIP \(model_type clip\) .* found model_type 'vit'"):
        embedding(tiny_vit)
    with pytest.raises(WeightsCorruptError, match=r"model_type vit or dinov2.*found model_type 'clip'"):
        VitTrunk(Runtime("lite", device="cpu"), str(tiny_clip)).network  # noqa: B018
    place = copied(tiny_clip, "truncated")
    (place / WEIGHTS).write_bytes((place / WEIGHTS).read_bytes()[:-100])
    with pytest.raises(WeightsCorruptError, match=r"Expected tensors in .*truncated/model\.safetensors"):
        embedding(place)
    for text in ("{", "[]"):
        (place / "config.json").write_text(text)
        with pytest.raises(WeightsCorruptError, match=r"Expected( a)? JSON( object)? in .*config\.json"):
            embedding(place)


def test_a_configuration_cannot_ask_for_other_code(tiny_clip: Path, copied: Copied) -> None:
    place = copied(tiny_clip, "asking")
    vision = json.loads((place / "config.json").read_text())["vision_config"]
    spoil_config(
        place,
        attn_implementation="someone/kernel",
        _attn_implementation="someone/kernel",
        auto_map={"AutoModel": "code.Model"},
        quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True},
        vision_config={**vision, "_attn_implementation": "someone/kernel"},
    )
    same(embedding(place), embedding(tiny_clip))


def test_weights_of_another_model_are_named(tiny_clip: Path, copied: Copied) -> None:
    place = rewritten(copied(tiny_clip, "missing"), lambda t: [t.pop(n) for n in [*t] if "visual_proj" in n])  # type: ignore[arg-type, return-value]
    with pytest.raises(WeightsCorruptError, match=r"1 are missing, such as visual_projection\.weight"):
        embedding(place)
    place = rewritten(copied(tiny_clip, "more"), lambda t: t.update({"head.weight": torch.ones(2)}))
    with pytest.raises(WeightsCorruptError, match=r"found 1 more, such as head\.weight"):
        embedding(place)
    place = rewritten(copied(tiny_clip, "other"), lambda t: t.update({"visual_projection.weight": torch.ones(3, 32)}))
    with pytest.raises(WeightsCorruptError, match=r"visual_projection\.weight of shape \(16, 32\).*found \(3, 32\)"):
        embedding(place)
    place = copied(tiny_clip, "odd")
    spoil_config(place, vision_config={"hidden_size": 33, "num_attention_heads": 4, "image_size": 30, "patch_size": 6})
    with pytest.raises(WeightsCorruptError, match="odd"):
        embedding(place)


def test_a_preparation_for_another_size_is_refused(tiny_clip: Path, tiny_dinov2: Path, copied: Copied) -> None:
    place = copied(tiny_clip, "large")
    (place / "preprocessor_config.json").write_text(json.dumps({"size": 60, "crop_size": 60}))
    with pytest.raises(WeightsCorruptError, match=r"preparation to 30 × 30 px.*found \(60, 60\)"):
        embedding(place)
    place = copied(tiny_dinov2, "uneven")
    (place / "preprocessor_config.json").write_text(json.dumps({"size": 40, "crop_size": 30}))
    with pytest.raises(WeightsCorruptError, match="multiples of 14 px"):
        VitTrunk(Runtime("lite", device="cpu"), str(place)).preparation  # noqa: B018


def test_a_nested_preparation_is_read(tiny_clip: Path, copied: Copied) -> None:
    """transformers 5 writes it so when a whole processor is saved."""
    place = copied(tiny_clip, "nested")
    document = json.loads((place / "preprocessor_config.json").read_text())
    (place / "preprocessor_config.json").unlink()
    (place / "processor_config.json").write_text(json.dumps({"image_processor": document}))
    same(embedding(place), embedding(tiny_clip))


def test_names_and_folders() -> None:
    with pytest.raises(UsageError, match=r"a CLIP among clip_vit_b_32, .* or the path of a folder; found 'clip_vit_z'"):
        HubModel("clip_vit_z", names=CLIPS, what="a CLIP", kinds=("clip",))


def test_a_folder_of_ones_own_is_known_by_what_is_in_it(tiny_clip: Path, copied: Copied) -> None:
    def identity(place: Path) -> str:
        return HubModel(str(place), names=CLIPS, what="a CLIP", kinds=("clip",)).identity

    name, _, digest = identity(tiny_clip).partition("@")
    assert name == "tiny_clip"
    other = copied(tiny_clip, "other")
    (other / "notes.txt").write_text("not part of the model")
    assert identity(other) == f"other@{digest}"
    document = json.loads((other / "preprocessor_config.json").read_text())
    (other / "preprocessor_config.json").write_text(json.dumps({**document, "resample": 2}))
    assert identity(other) != f"other@{digest}"


def test_a_fetched_folder_that_is_named_by_path_is_held_against_its_manifest(tiny_clip: Path, copied: Copied) -> None:
    from semetric.weights.folders import MANIFEST, write_manifest

    place = copied(tiny_clip, "mine")
    write_manifest(place, repo="someone/clip", commit="c0ffee" + "0" * 34)
    model = HubModel(str(place), names=CLIPS, what="a CLIP", kinds=("clip",))
    assert model.identity.startswith("mine.c0ffee00@")
    assert (place / MANIFEST).is_file()
    (place / "config.json").write_text("{}")
    with pytest.raises(WeightsCorruptError, match=r"mine is not what was fetched.*config\.json has 2 bytes"):
        model.place  # noqa: B018


def test_missing_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    model = HubModel("clip_vit_b_32", names=CLIPS, what="a CLIP", kinds=("clip",))
    for what in ("identity", "place", "config"):
        with pytest.raises(WeightsMissingError, match="semetric models fetch clip_vit_b_32"):
            getattr(model, what)


def test_without_transformers_the_error_carries_the_pip_line(tiny_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'semetric\[hub\]'"):
        embedding(tiny_clip)


def test_loading_says_nothing_and_leaves_the_librarys_settings(
    tiny_vit: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    VitTrunk(Runtime("lite", device="cpu"), str(tiny_vit)).network  # noqa: B018
    assert capfd.readouterr() == ("", "")  # neither a bar nor a report on the classifier that is left over
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    with pytest.raises(RuntimeError), quiet():
        raise RuntimeError
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_deeply_nested_json_is_named(tiny_vit: Path, copied: Copied) -> None:
    place = copied(tiny_vit, "deep")
    for text in ("[" * 200_000, '{"a":' * 200_000, '{"model_type": "vit", "a": ' + '{"a":' * 400 + "1" + "}" * 401):
        (place / "config.json").write_text(text)
        with pytest.raises(WeightsCorruptError, match=r"config\.json"):
            VitTrunk(Runtime("lite", device="cpu"), str(place)).network  # noqa: B018


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 10**6),
        ("num_hidden_layers", 10**7),
        ("image_size", 10**5),
        ("image_size", [10**5, 10**5]),
        ("intermediate_size", 1e400),
        ("patch_size", 10**400),
    ],
)
def test_a_configuration_cannot_ask_for_any_size(tiny_vit: Path, copied: Copied, key: str, value: object) -> None:
    place = copied(tiny_vit, "large")
    spoil_config(place, **{key: value})
    with pytest.raises(WeightsCorruptError, match=f"Expected {key} as the tensors"):
        VitTrunk(Runtime("lite", device="cpu"), str(place)).network  # noqa: B018


def test_weights_that_are_not_numbers_are_named(tiny_vit: Path, copied: Copied) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        next(iter(tensors.values())).view(-1)[0] = float("nan")

    place = rewritten(copied(tiny_vit, "nan"), spoil)
    with pytest.raises(WeightsCorruptError, match=r"Expected tensors in .*; it holds NaN"):
        VitTrunk(Runtime("lite", device="cpu"), str(place)).network  # noqa: B018
