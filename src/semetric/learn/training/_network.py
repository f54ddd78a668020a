"""The network while it trains: frozen trunks with LoRA's matrices beside theirs, or with an MLP head behind them.

The published training keeps W and adds (α/r)·B·A·dropout(x) to what it gives (Hu et al. 2021); the loaded network has
the sum merged into W. What `DreamSimNet.embed` does with the trunks' tokens is the same code in both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from semetric.errors import MissingExtraError
from semetric.learn.training.config import DreamSimTraining
from semetric.models.dreamsim.network import DreamSimNet, Head
from semetric.models.dreamsim.variants import Variant
from semetric.models.vit.network import ViT
from semetric.training import seeded

__all__ = ["Trainee", "distances", "hinge_loss"]


def distances(embeddings: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """1 − cosine of each triplet's candidates to its reference, in float32.

    Args:
        embeddings: (U, D).
        rows: (n, 3) places of reference, a and b.

    Returns:
        Two of (n,).
    """
    unit = nn.functional.normalize(embeddings.float(), dim=1)
    reference, a, b = (unit[rows[:, i]] for i in range(3))  # (n, D) each
    return 1 - (reference * a).sum(1), 1 - (reference * b).sum(1)


def hinge_loss(a: Tensor, b: Tensor, b_is_closer: Tensor, margin: float) -> Tensor:
    """max(0, margin − y·(d(a) − d(b))), y = 1 where b is the closer and −1 where a is; the mean of it.

    Fu et al., "DreamSim", arXiv 2306.09344, Section 4.

    Args:
        a: (n,) distances of the first candidates.
        b: (n,) of the second.
        b_is_closer: (n,) bool.
        margin: in units of the distance.
    """
    side = torch.where(b_is_closer, 1.0, -1.0)
    return (margin - side * (a - b)).clamp_min(0).mean()


class Trainee:
    """What trains.

    Args:
        trunks: untuned, in the variant's order; they are frozen and, with LoRA, changed in place.
        variant: names features and normalisations.
        config: of the training.
        device: "cpu" or "cuda".

    Raises:
        MissingExtraError: LoRA without peft.
    """

    def __init__(self, trunks: Sequence[ViT], variant: Variant, config: DreamSimTraining, device: str) -> None:
        for trunk in trunks:
            trunk.requires_grad_(False)
        whole = [_Extractor(trunk) for trunk in trunks]
        self.device = device
        self._adapted: Any = None
        with seeded(config.seed):
            head = None
            if config.method == "lora":
                self._adapted = _with_lora(_Tower(whole), config)
            else:
                head = Head(variant.size, config.hidden)
                nn.init.zeros_(head.fc2.weight)  # the training begins with the untuned trunks' distance
                nn.init.zeros_(head.fc2.bias)
        self.net = DreamSimNet(
            cast("list[ViT]", whole), variant.feature, [trunk.normalisation for trunk in variant.trunks], head
        ).to(device)
        self.net.eval()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What trains."""
        return [parameter for parameter in self.net.parameters() if parameter.requires_grad]

    def state_dict(self) -> dict[str, Tensor]:
        """The trained tensors on the CPU, by the names that their file has: PEFT's, or the head's."""
        if self._adapted is None:
            state = cast(Head, self.net.head).state_dict()
        else:
            from peft import get_peft_model_state_dict

            state = get_peft_model_state_dict(self._adapted)
        return {name: value.detach().to("cpu", torch.float32).clone().contiguous() for name, value in state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The reverse of `state_dict`."""
        if self._adapted is None:
            cast(Head, self.net.head).load_state_dict(state)
            return
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(self._adapted, state)

    def adapter_config(self) -> dict[str, Any]:
        """What adapter_config.json holds."""
        values = {**self._adapted.peft_config["default"].to_dict(), "inference_mode": True}
        values["target_modules"] = sorted(values["target_modules"])
        values["peft_type"] = "LORA"
        plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
        return plain


class _Extractor(nn.Module):
    """A trunk under the name that PEFT's files give it. It asks for all tokens, whose query-key-value layers are
    called as modules; a ViT that computes one token alone takes their matrices apart and would pass LoRA by.
    """

    def __init__(self, model: ViT) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.model(images))

    def class_token(self, images: Tensor) -> Tensor:
        return self(images)[:, 0]  # type: ignore[no-any-return]

    def embedding(self, images: Tensor) -> Tensor:
        token: Tensor = self.model.norm(self.class_token(images))
        return token if self.model.proj is None else token @ self.model.proj


class _Tower(nn.Module):
    """All extractors, under the published name."""

    def __init__(self, extractors: Sequence[_Extractor]) -> None:
        super().__init__()
        self.extractor_list = nn.ModuleList(extractors)


def _with_lora(tower: nn.Module, config: DreamSimTraining) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtraError(
            "Training with LoRA needs peft; found none. Use pip install 'semetric[learn]', or --method mlp."
        ) from error
    settings = LoraConfig(
        r=config.rank,
        lora_alpha=cast(int, config.alpha if config.alpha % 1 else int(config.alpha)),
        lora_dropout=config.dropout,
        bias="none",
        target_modules=["qkv"],
    )
    return get_peft_model(cast(Any, tower), settings)
