"""Sionna comes without its side effects, and only when a channel is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from semetric.errors import MissingExtraError
from semetric.lab.channels import _sionna

STATE = """
def state():
    return (
        torch.get_default_dtype(), torch.get_num_threads(), torch.get_num_interop_threads(),
        torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled(), torch.get_float32_matmul_precision(),
        torch.initial_seed(), torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(),
    )
"""


def run(code: str) -> str:
    """The output of a fresh process, in which every warning is an error."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_it_changes_no_global_state() -> None:
    code = f"""
import random
import numpy as np
import torch
{STATE}
torch.manual_seed(5)
before = state()
from semetric.lab.channels._sionna import sionna
sionna("fec.ldpc"), sionna("mapping")
print(state() == before)
"""
    assert run(code) == "True"


def test_naming_a_link_imports_nothing_heavy() -> None:
    code = """
import sys
from semetric.lab.channels import Link
Link(modulation="64qam").capacity_bytes(10_000)
print([name for name in ("torch", "sionna", "numba", "scipy", "matplotlib") if name in sys.modules])
"""
    assert run(code) == "[]"


def test_a_missing_sionna_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sionna"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sionna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'semetric\[lab\]'"):
        _sionna.sionna("mapping")
