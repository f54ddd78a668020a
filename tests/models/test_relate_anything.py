from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from semetric.errors import UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.relate_anything import RelateAnything, load_relate_anything

HIDDEN, INTERMEDIATE, LAYERS, EMBEDDING, POSITIONS, WORDS = 48, 96, 2, 8, 16, 11


def state_dict(seed: int = 0) -> dict[str, torch.Tensor]:
    """A checkpoint in the published layout at toy size, filled from a seeded generator."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 0.15, mean: float = 0.0) -> torch.Tensor:
        return mean + scale * torch.randn(*shape, generator=draw)

    state: dict[str, torch.Tensor] = {}

    def linear(name: str, inside: int, outside: int) -> None:
        state[f"{name}.weight"] = normal(outside, inside)
        state[f"{name}.bias"] = normal(outside)

    def norm(name: str) -> None:
        state[f"{name}.weight"] = normal(HIDDEN, mean=1.0)
        state[f"{name}.bias"] = normal(HIDDEN)

    linear("fc_input.0", 256, HIDDEN)
    norm("fc_input.1")
    linear("fc_output.0", HIDDEN, HIDDEN)
    norm("fc_output.1")
    state["model.embeddings.word_embeddings.weight"] = normal(WORDS, HIDDEN)
    state["model.embeddings.position_embeddings.weight"] = normal(POSITIONS, HIDDEN)
    state["model.embeddings.token_type_embeddings.weight"] = normal(2, HIDDEN)
    norm("model.embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"model.encoder.layer.{i}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", HIDDEN, HIDDEN)
        linear(f"{layer}.attention.output.dense", HIDDEN, HIDDEN)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", HIDDEN, INTERMEDIATE)
        linear(f"{layer}.output.dense", INTERMEDIATE, HIDDEN)
        norm(f"{layer}.output.LayerNorm")
    linear("model.pooler.dense", HIDDEN, HIDDEN)
    linear("cls_sub", HIDDEN, 56 * EMBEDDING)
    linear("cls_obj", HIDDEN, 56 * EMBEDDING)
    return state


def reference(state: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """The published head's steps on transformers' BERT."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=12,
        intermediate_size=INTERMEDIATE,
        max_position_embeddings=POSITIONS,
    )
    bert = BertModel(config).eval()
    bert.load_state_dict({k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")})

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, (HIDDEN,), state[f"{name}.weight"], state[f"{name}.bias"])

    n = len(tokens)
    x = norm("fc_input.1", linear("fc_input.0", tokens))
    ones = torch.ones(1, n, dtype=torch.long)
    x = bert(inputs_embeds=x[None], position_ids=ones, token_type_ids=0 * ones).last_hidden_state[0]
    x = norm("fc_output.1", linear("fc_output.0", x))
    subject = linear("cls_sub", x).reshape(n, 56, EMBEDDING)
    object_ = linear("cls_obj", x).reshape(n, 56, EMBEDDING)
    logits = torch.einsum("srd,ord->rso", subject, object_) / math.sqrt(EMBEDDING)
    logits[:, range(n), range(n)] = -9999
    return logits.sigmoid()


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "ram.pth"
    torch.save(state_dict(), path)
    return path


@pytest.mark.parametrize("n", [1, 2, 9])
@torch.inference_mode()
def test_equals_the_head_on_transformers_bert(checkpoint, n):
    pytest.importorskip("transformers")
    tokens = torch.randn(n, 256, generator=torch.Generator().manual_seed(n))
    found = load_relate_anything(checkpoint)(tokens)
    assert found.shape == (56, n, n)
    expected = reference(state_dict(), tokens)
    assert n == 1 or expected.std() > 0.05  # the toy head says something
    # float32 sums of up to 256 products, in another order
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_what_it_returns(checkpoint):
    head = load_relate_anything(checkpoint)
    assert not head.training
    assert not any(p.requires_grad for p in head.parameters())
    tokens = torch.randn(7, 256, generator=torch.Generator().manual_seed(0))
    p = head(tokens)
    assert (p.diagonal(dim1=1, dim2=2) == 0).all()
    assert ((p >= 0) & (p <= 1)).all()
    torch.testing.assert_close(head(tokens), p, rtol=0, atol=0)  # no dropout: twice the same
    order = torch.tensor([3, 1, 6, 0, 5, 2, 4])
    # masks are a set: their order has no part beyond rounding
    torch.testing.assert_close(head(tokens[order]), p[:, order][:, :, order], rtol=0, atol=1e-5)
    assert head(tokens[:0]).shape == (56, 0, 0)
    with pytest.raises(UsageError, match=r"\(N, 256\)"):
        head(torch.zeros(3, 255))


def test_published_size():
    with torch.device("meta"):
        head = RelateAnything()
    shapes = {k: tuple(v.shape) for k, v in head.state_dict().items()}
    assert shapes["cls_sub.weight"] == (56 * 512, 768)
    assert shapes["model.encoder.layer.1.intermediate.dense.weight"] == (3072, 768)
    assert not any("layer.2" in k for k in shapes)


def test_old_saves_carry_position_ids(tmp_path):
    path = tmp_path / "ram.pth"
    torch.save(state_dict() | {"model.embeddings.position_ids": torch.arange(POSITIONS)[None]}, path)
    load_relate_anything(path)


def _without(key):
    state = state_dict()
    del state[key]
    return state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (_without("model.pooler.dense.bias"), "model.pooler.dense.bias"),
        (_without("cls_obj.weight"), "cls_obj.weight"),
        (_without("cls_sub.weight"), "cls_sub.weight"),
        (state_dict() | {"extra": torch.zeros(1)}, "extra"),
        (state_dict() | {"fc_input.0.weight": torch.zeros(48, 255)}, r"\(48, 256\).*\(48, 255\)"),
        (state_dict() | {"cls_sub.weight": torch.zeros(55, 48)}, "cls_sub.weight 55"),
        ({}, "no keys"),
        ([torch.zeros(1)], "state dict"),
        ({"state_dict": state_dict()}, "state dict"),
    ],
)
def test_wrong_checkpoints_are_named(tmp_path, state, words):
    path = tmp_path / "wrong.pth"
    torch.save(state, path)
    with pytest.raises(WeightsCorruptError, match=words) as caught:
        load_relate_anything(path)
    assert "wrong.pth" in str(caught.value)
    assert "xpected" in str(caught.value)


def test_unreadable_files(tmp_path, checkpoint):
    with pytest.raises(WeightsMissingError, match=r"ram_epoch12\.pth"):
        load_relate_anything(tmp_path / "none.pth")
    for name, content in {
        "empty.pth": b"",
        "text.pth": b"not a checkpoint",
        "cut.pth": checkpoint.read_bytes()[:5000],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsCorruptError, match=name):
            load_relate_anything(tmp_path / name)


class _Harmful:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_with_code_is_refused(tmp_path, capsys):
    torch.save({"fc_input.0.weight": _Harmful()}, tmp_path / "harm.pth")
    with pytest.raises(WeightsCorruptError):
        load_relate_anything(tmp_path / "harm.pth")
    assert capsys.readouterr().out == ""


LAYER = "model.encoder.layer.1.output.dense.bias"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.encoder.layer.2000000.x", torch.zeros(1), r"layer\.2000000\.x"),
        (f"model.encoder.layer.{'9' * 5000}.x", torch.zeros(1), "layer"),
        (LAYER, torch.full((HIDDEN,), math.nan), "NaN"),
        (LAYER, torch.zeros(HIDDEN, dtype=torch.int64), "int64"),
        (LAYER, torch.zeros(HIDDEN).to_sparse(), "sparse"),
        (LAYER, torch.zeros(HIDDEN, device="meta"), "_rebuild_meta_tensor"),
        (LAYER, torch.zeros(HIDDEN, dtype=torch.complex64), "complex64"),
    ],
    ids=["far", "digits", "nan", "int64", "sparse", "meta", "complex"],
)
def test_hostile_checkpoints_are_named(tmp_path, key, value, words):
    path = tmp_path / "hostile.pth"
    torch.save(state_dict() | {key: value}, path)
    with pytest.raises(WeightsCorruptError, match=words):
        load_relate_anything(path)


def test_many_layers_are_refused_before_any_is_built(tmp_path, monkeypatch):
    def built(*args, **kwargs):
        raise AssertionError("it was built")

    monkeypatch.setattr(RelateAnything, "__init__", built)
    path = tmp_path / "deep.pth"
    torch.save(state_dict() | {f"model.encoder.layer.{i}.x": torch.zeros(1) for i in range(1000)}, path)
    with pytest.raises(WeightsCorruptError, match="at most 48 layers; found 1000"):
        load_relate_anything(path)
