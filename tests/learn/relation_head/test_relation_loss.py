from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from semetric.learn.relation_head.loss import predicate_losses, relation_loss


def case(seed: int = 0, n: int = 4, predicates: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(predicates, n, n, generator=draws, dtype=torch.float64)
    targets = torch.rand(predicates, n, n, generator=draws) < 0.2
    targets[1] = False  # a predicate that the image does not have
    return logits, targets, ~torch.eye(n, dtype=torch.bool)


def test_it_is_the_equation() -> None:
    logits, targets, valid = case()
    expected = []
    for scores, holds in zip(logits.numpy(), targets.numpy(), strict=True):
        pairs = [(i, j) for i in range(4) for j in range(4) if valid[i, j]]
        positive = sum(math.exp(-scores[p]) for p in pairs if holds[p])
        negative = sum(math.exp(scores[p]) for p in pairs if not holds[p])
        expected.append(math.log(1 + positive) + math.log(1 + negative))
    # float64 sums of some ten terms
    np.testing.assert_allclose(predicate_losses(logits, targets, valid).numpy(), expected, rtol=1e-12)
    weighted = np.mean(np.square(expected)) / max(expected)  # loss · loss / max(loss)
    assert float(relation_loss(logits, targets, valid)) == pytest.approx(weighted, rel=1e-12)


def test_pairs_that_do_not_count_have_no_gradient() -> None:
    logits, targets, valid = case()
    valid[2, 3] = False
    logits.requires_grad_(True)
    relation_loss(logits, targets, valid).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[:, ~valid] == 0).all()
    assert (logits.grad[:, valid] != 0).all()
    assert (logits.grad[targets & valid] < 0).all()
    assert (logits.grad[~targets & valid] > 0).all()


def test_the_weight_is_a_constant() -> None:
    logits, targets, valid = case()
    logits.requires_grad_(True)
    losses = predicate_losses(logits, targets, valid)
    (expected,) = torch.autograd.grad((losses * (losses / losses.max()).detach()).mean(), logits)
    (found,) = torch.autograd.grad(relation_loss(logits, targets, valid), logits)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_right_answers_cost_nothing_and_huge_logits_stay_finite() -> None:
    _, targets, valid = case()
    right = torch.where(targets, 9999.0, -9999.0)
    assert float(relation_loss(right, targets, valid)) == 0
    wrong = -right.requires_grad_(True)
    loss = relation_loss(wrong, targets, valid)
    assert 9999 < loss.item() < 2 * 9999 + 10
    (gradient,) = torch.autograd.grad(loss, right)
    assert torch.isfinite(gradient).all()


def test_no_pair_is_no_loss() -> None:
    logits = torch.zeros(5, 1, 1, requires_grad=True)
    loss = relation_loss(logits, torch.zeros(5, 1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.bool))
    assert loss.item() == 0
