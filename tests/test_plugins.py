"""Registries: names of this package, and entry points of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from semetric.errors import UnknownNameError, UsageError
from semetric.plugins import Registry, create

GROUP = "semetric.tests_of_plugins"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a class, a module that cannot be imported, and no entry point yet."""
    code = "class Circle:\n    def __init__(self, *, radius=1.0):\n        self.r = radius\n"
    (tmp_path / "toy_shapes.py").write_text(code)
    (tmp_path / "toy_broken.py").write_text("raise RuntimeError('no licence')\n")
    info = tmp_path / "toy_shapes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-shapes\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return info / "entry_points.txt"


def shapes() -> Registry[object]:
    return Registry("shape", GROUP, {"square": 4})


def test_entry_points_stand_beside_what_the_package_has(package: Path) -> None:
    package.write_text(f"[{GROUP}]\ncircle = toy_shapes:Circle\nlost = toy_broken:Shape\n")
    registry = shapes()
    assert list(registry) == ["square", "circle", "lost"]  # which imports neither
    assert len(registry) == 3
    assert registry["circle"].__name__ == "Circle"  # type: ignore[attr-defined]
    assert registry["circle"] is registry["circle"]
    with pytest.raises(UsageError, match=r"shape 'lost' at toy_broken:Shape.* package toy-shapes.*no licence"):
        registry["lost"]


def test_unknown_names_name_the_known_ones() -> None:
    registry = shapes()
    with pytest.raises(UnknownNameError, match=r"^Expected a shape of square; found 'sqare'\. Did you mean square\?$"):
        registry["sqare"]
    assert "sqare" not in registry
    assert registry.get("sqare") is None


def test_a_name_that_is_taken_is_refused(package: Path) -> None:
    package.write_text(f"[{GROUP}]\nsquare = toy_shapes:Circle\n")
    with pytest.raises(UsageError, match="there is a shape 'square' already"):
        list(shapes())


def test_options_are_keyword_arguments(package: Path) -> None:
    package.write_text(f"[{GROUP}]\ncircle = toy_shapes:Circle\n")
    registry: Registry[type] = Registry("shape", GROUP, {})
    assert create(registry, "circle", radius=2.0).r == 2.0
    with pytest.raises(UsageError, match="options of the shape circle among radius; found 'side'"):
        create(registry, "circle", side=1.0)
