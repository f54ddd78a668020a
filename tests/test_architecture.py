"""Packages stay apart, public names are true, the documentation is whole: docs/architecture.md has the reasons."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semetric.metrics.registry import METRICS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "semetric"

# From the ground up: a module imports from its own layer and from those before it. The package itself ("semetric", with
# its public names) is the last but one, since its names come from scoring: only the command line may import it.
LAYERS = (
    "errors",
    "plugins",
    "settings",
    "score_settings",
    "formatting",
    "templating",
    "tables",
    "cache",
    "profiles",
    "image",
    "weights",
    "results",
    "models",
    "scene",
    "metrics",
    "scoring",
    "losses",
    "torchmetrics",
    "runs",
    "training",
    "lab",
    "learn",
    "report",
    "web",
    "semetric",
    "cli",
    "__main__",
)

# Packages that take long to import, or that not every command needs: the modules that may import them at module level.
# Everything else imports them inside the function that uses them. Entries ending in a dot are whole packages.
HEAVY: dict[str, tuple[str, ...]] = {
    "torch": (
        "models.sam.",
        "models.efficientnet_lite",
        "models.img_focus",
        "models.lpips_trunks",
        "models.relate_anything",
        "models.state",
        "models.vit.network",
        "models.vit.conversion",
        "models.dreamsim.network",
        "scene.masks",
        "losses",
        "torchmetrics",
        "training",
        "lab.deepjscc.channel",
        "lab.deepjscc.network",
        "lab.deepjscc.patches",
        "lab.deepjscc.start",
        "lab.deepjscc.training",
        "lab.deepjscc.weights",
        "learn.training._network",
        "learn.training.training",
        "learn.relation_head.checkpoint",
        "learn.relation_head.loss",
        "learn.relation_head.prompting",
        "learn.relation_head.training",
    ),
    "torchmetrics": ("torchmetrics",),
    "numba": ("scene._compiler", "lab.channels._propagation"),
    "matplotlib": ("report.",),
    "jinja2": ("templating",),
    "onnx": ("models.sam.", "models.onnx_weights"),
    "scipy": (),
    "cv2": (),
    "imagecodecs": (),
    "simplejpeg": (),
    "tifffile": (),
    "optuna": (),
    "sionna": (),
    "peft": (),
    "safetensors": (),
    "pyarrow": (),
    "pycocotools": (),
    "huggingface_hub": (),
    "transformers": (),
    "ray": (),
    "rich": (),
    "itsdangerous": ("web.signing",),
    "starlette": ("web.",),
    "uvicorn": ("web.connections",),
    "typer": ("cli.",),
}
ABSENT = ("torchvision", "skimage", "onnxruntime", "timm")


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import statement's target, e.g. "semetric.scene.graph" or "numpy"."""

    module: str  # the importing one, relative to semetric: "scene.graph", or "" for the package itself
    target: str
    line: int
    lazy: bool  # inside a function
    typing: bool  # under `if TYPE_CHECKING:`

    def __str__(self) -> str:
        return f"{self.module or 'semetric'}:{self.line} imports {self.target}"


def name_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in sorted(SOURCE.rglob("*.py"))}


def imports_of(module: str) -> Iterator[Import]:
    def walk(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            found: list[str] = []
            if isinstance(child, ast.Import):
                found = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}:{child.lineno} imports relatively; name the whole module."
                for alias in child.names:  # `from semetric.scene import rle` reaches semetric.scene.rle
                    whole = f"{child.module}.{alias.name}"
                    found.append(whole if whole.removeprefix("semetric.") in FILES else str(child.module))
            for target in found:
                yield Import(module=module, target=target, line=child.lineno, lazy=lazy, typing=typing)
            guard = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, lazy or inside, typing or guard)

    yield from walk(ast.parse(FILES[module].read_text(encoding="utf-8")), False, False)


IMPORTS = [found for module in FILES for found in imports_of(module)]


def layer_of(module: str) -> str:
    """The layer of a module relative to semetric."""
    return module.partition(".")[0] or "semetric"


def inner(target: str) -> str | None:
    """An imported module relative to semetric; None where it is somebody else's."""
    package, _, rest = target.partition(".")
    return rest if package == "semetric" else None


def test_every_module_has_a_layer() -> None:
    assert len(FILES) > 50  # the folder was found
    assert {layer_of(module) for module in FILES} == set(LAYERS)


def upward(found: Import) -> bool:
    """Whether it imports from a later layer. Lazy imports count, and so do those under TYPE_CHECKING."""
    target = inner(found.target)
    return target is not None and LAYERS.index(layer_of(target)) > LAYERS.index(layer_of(found.module))


def intrudes(found: Import) -> bool:
    """Whether it imports a module with a leading underscore from outside the package that holds it."""
    target = inner(found.target)
    if target is None or not re.search(r"(^|\.)_", target):
        return False
    owner = re.split(r"\._|^_", target)[0]
    return not f"{found.module}.".startswith(f"{owner}.")


def test_imports_point_one_way() -> None:
    assert not [str(found) for found in IMPORTS if upward(found)]


def test_private_modules_stay_in_their_package() -> None:
    assert not [str(found) for found in IMPORTS if intrudes(found)]


@pytest.mark.parametrize(
    ("module", "target", "against"),
    [
        ("image.read", "semetric.scene.graph", [True, False]),
        ("scene.graph", "semetric", [True, False]),  # the public names rest on scoring
        ("scene.graph", "semetric.image", [False, False]),
        ("cli.score", "semetric", [False, False]),
        ("scene.graph", "numpy", [False, False]),
        ("metrics.sess", "semetric.scene._kernels", [False, True]),
        ("scene.matching", "semetric.scene._kernels", [False, False]),
    ],
)
def test_the_rules_tell_right_from_wrong(module: str, target: str, against: list[bool]) -> None:
    found = Import(module=module, target=target, line=1, lazy=True, typing=True)
    assert [upward(found), intrudes(found)] == against


def test_the_registry_imports_no_metric() -> None:
    """They are imported when one is first named, so that the command line starts without them."""
    code = "import sys, semetric.metrics.registry; print([m for m in sys.modules if m.startswith('semetric.metrics.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['semetric.metrics.registry']"


def _folders(allowed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in allowed if name.endswith("."))


@pytest.mark.parametrize("package", HEAVY)
def test_heavy_packages_are_imported_where_they_are_used(package: str) -> None:
    allowed = HEAVY[package]
    early = [f for f in IMPORTS if f.target.partition(".")[0] == package and not f.lazy and not f.typing]
    assert not [str(f) for f in early if f.module not in allowed and not f"{f.module}.".startswith(_folders(allowed))]


def test_one_module_enters_inference() -> None:
    """Where scores are computed, the caller's autocast and defaults are left in the same step (models.torch_state)."""
    assert [m for m, file in FILES.items() if "torch.inference_mode(" in file.read_text()] == ["models.torch_state"]


def test_what_is_not_a_dependency_is_not_imported() -> None:
    assert not [str(f) for f in IMPORTS if f.target.partition(".")[0] in ABSENT]


@pytest.mark.parametrize("module", ["semetric", "semetric.cli", "semetric.errors", "semetric.metrics.registry"])
def test_importing_it_imports_nothing_heavy(module: str) -> None:
    """In a fresh process, since this one has imported everything."""
    heavy = ["torch", "numpy", "matplotlib", "numba", "scipy", "onnx", "PIL", "rich.table"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_server_imports_no_matplotlib() -> None:
    """It draws nothing; what explains a pair draws in a process of its own."""
    modules = ", ".join(f"semetric.{name}" for name in FILES if layer_of(name) == "web")
    code = f"import sys, {modules}; print([name for name in ('matplotlib', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scoring_imports_no_torch() -> None:
    code = "import sys, semetric; semetric.score; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def place(name: str) -> tuple[int, str]:
    """The order of __all__: constants, classes, functions, each by the alphabet; as ruff's RUF022 sorts."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("module", FILES, ids=lambda name: name or "semetric")
def test_public_names_are_sorted_and_real(module: str) -> None:
    loaded = importlib.import_module(f"semetric.{module}" if module else "semetric")
    names: list[str] | None = getattr(loaded, "__all__", None)
    if names is None:
        body = ast.parse(FILES[module].read_text(encoding="utf-8")).body
        defined = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert not [node.name for node in defined if not node.name.startswith("_")], "public names and no __all__"
        return
    assert names == sorted(names, key=place)
    assert len(names) == len(set(names))
    for name in names:
        assert hasattr(loaded, name), f"{module}.__all__ has {name!r}, which does not exist"
    assert loaded.__doc__


def test_the_package_offers_what_it_lists() -> None:
    import semetric

    assert set(semetric.__all__) == set(semetric._HOMES)
    assert dir(semetric) == sorted([*semetric.__all__, "__version__"])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        semetric.nothing  # noqa: B018


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_declares_what_lists_and_figures_show(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.label
    assert metric.summary
    assert metric.__doc__
    assert metric.place < 100  # which is for metrics of other packages


# Documentation

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / n for n in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))])


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code."""
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def blocks(page: Path, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```\s*$", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [text for language, text in found if language in languages]


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```\s*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    made: set[str] = set()
    for heading in re.findall(r"^#+\s+(.*?)\s*$", text, flags=re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        made.add(slug)
    return made


def commands() -> dict[str, Any]:
    """Every command by its words, "models fetch", but for those of lab and learn, which have pages of their own."""
    import typer

    from semetric.cli import app

    found: dict[str, Any] = {}

    def walk(words: str, command: Any) -> None:
        if not hasattr(command, "commands"):
            found[words] = command
        for name, one in getattr(command, "commands", {}).items():
            if name not in ("lab", "learn"):
                walk(f"{words} {name}".strip(), one)

    walk("", typer.main.get_command(app))
    return found


@pytest.mark.parametrize("words", commands())
def test_every_option_is_in_the_reference(words: str) -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), flags=re.M)
    own = [text for text in sections if text.startswith(f"`semetric {words.partition(' ')[0]}")]
    assert len(own) == 1, f"semetric {words} has no section"
    # explain and graph refer to the options of score
    text = own[0] + (
        next(t for t in sections if t.startswith("`semetric score")) if words in ("explain", "graph") else ""
    )
    options = {name for parameter in commands()[words].params for name in parameter.opts if name.startswith("--")}
    assert not [name for name in sorted(options) if not re.search(rf"{name}(?![\w-])", text)]


def test_the_skeleton_of_a_metric_scores() -> None:
    import semetric

    names: dict[str, Any] = {}
    exec(blocks(ROOT / "CONTRIBUTING.md", "python")[0], names)
    a, b = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    assert names["MAE"](semetric.runtime(store=None))(a, b).value == pytest.approx(51, rel=1e-6)  # float32


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_page(name: str) -> None:
    spec = METRICS[name]
    page = ROOT / "docs" / "metrics" / f"{spec.__module__.rpartition('.')[2]}.md"
    text = page.read_text(encoding="utf-8")
    assert f"`{spec.name}`" in text
    assert "higher is better" in text.lower() if spec.higher_is_better else "lower is better" in text.lower()
    for option in spec.options:
        assert f"`{option}" in text, f"{page.name} does not name the option {option}"
    assert f"[`{spec.name}`]({page.name})" in (page.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_resolve(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(target)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_python_examples_import_what_exists(page: Path) -> None:
    for text in blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):  # a block that is no Python fails here
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("semetric"):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_shell_examples_use_commands_and_options_that_exist(page: Path) -> None:
    import typer

    from semetric.cli import app

    for text in blocks(page, "sh", "console"):
        for line in text.replace("\\\n", " ").splitlines():
            words = re.sub(r"\s#.*", "", line.removeprefix("$ ")).split()
            if not words or words[0] != "semetric":
                continue
            command: Any = typer.main.get_command(app)
            rest = words[1:]
            while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
                assert rest[0] in command.commands, f"{line!r}: no such command"
                command, rest = command.commands[rest[0]], rest[1:]
            known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
            used = [word.partition("=")[0] for word in rest if word.startswith("-")]
            assert set(used) <= known, f"{line!r}: no such option"
