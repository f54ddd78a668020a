"""SeSS's hyper-parameters together, and the file that `semetric score --config` takes.

The file is TOML with one table:

    [sess]                      [sess]
    variant = "paper"           variant = "graded"
    alpha = 0.25                midpoint = 0.59
    saliency_root = 2.25        …

Without `variant` it is the paper's. Names that are left out keep the paper's values (SeSS, arXiv 2406.03865, Table II);
of the variant graded only beta and gamma can be, since the others belong to one encoder. Names that do not exist raise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from semetric.errors import UsageError, did_you_mean
from semetric.scene.graded import GradedSettings
from semetric.scene.importance import ImportanceSettings
from semetric.scene.matching import MatchingSettings

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SessSettings", "Settings", "read_sess_settings", "sess_settings", "sess_settings_toml"]


@dataclass(frozen=True, kw_only=True)
class SessSettings:
    """All that shapes SeSS's variants paper and demo beside the networks; `GradedSettings` is that of graded.

    Attributes:
        alpha: weight of the relations' similarity against the objects', in [0, 1].
        beta: weight of the neighbourhood in each update, in [0, 1].
        gamma: weight of the whole images' similarity, in [0, 1].
        location: weight of the objects' positions in the initial similarity, in [0, 1].
        iterations: how many updates, ≥ 0.
        in_place: updates see those before them, as in the published code.
        saliency_root: the paper's k.
        relation_root: the root of what relations give an object.
        relation_share: weight of what relations give in the importance, in [0, 1].

    Raises:
        UsageError: a value out of its range or of another type.
    """

    alpha: float = 0.25
    beta: float = 0.05
    gamma: float = 0.10
    location: float = 0.0
    iterations: int = 7
    in_place: bool = False
    saliency_root: float = 2.25
    relation_root: float = 3.0
    relation_share: float = 0.0

    variant: ClassVar[Literal["paper"]] = "paper"
    PAPER: ClassVar[Self]
    DEMO: ClassVar[Self]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = {"int": int, "bool": bool}.get(str(field.type), float)
            fits = type(value) is wanted or (wanted is float and type(value) is int)
            if not fits:
                raise UsageError(f"Expected {field.name} as {wanted.__name__}; found {value!r}.")
        _ = self.matching, self.importance  # which look at the ranges

    @property
    def matching(self) -> MatchingSettings:
        """The part that matching takes."""
        return MatchingSettings(**{f.name: getattr(self, f.name) for f in fields(MatchingSettings)})

    @property
    def importance(self) -> ImportanceSettings:
        """The part that importance takes."""
        return ImportanceSettings(**{f.name: getattr(self, f.name) for f in fields(ImportanceSettings)})

    def to_dict(self) -> dict[str, float | int | bool | str]:
        """Plain JSON values, the variant among them; `sess_settings` is the inverse."""
        return {"variant": self.variant, **asdict(self)}


SessSettings.PAPER = SessSettings()
SessSettings.DEMO = SessSettings(
    gamma=0.05, location=0.2, in_place=True, saliency_root=2.5, relation_root=3.0, relation_share=0.2
)


Settings: TypeAlias = SessSettings | GradedSettings
"""Settings of SeSS: those of one variant or the other."""

_VARIANTS: Mapping[str, type[Settings]] = {kind.variant: kind for kind in (GradedSettings, SessSettings)}


def sess_settings(values: Mapping[str, Any], *, source: str = "the settings") -> Settings:
    """The settings in a table, of the variant that it names or the paper's.

    Raises:
        UsageError: a variant or a name that does not exist, a name that is missing, or a value that does not fit.
    """
    variant = values.get("variant", SessSettings.variant)
    if not isinstance(variant, str) or variant not in _VARIANTS:
        raise UsageError(f"Expected in [sess] of {source} a variant among {', '.join(_VARIANTS)}; found {variant!r}.")
    kind = _VARIANTS[variant]
    given = {name: value for name, value in values.items() if name != "variant"}
    names = {field.name: field.default is MISSING for field in fields(kind)}  # and whether it is required
    for name in given:
        if name not in names:
            raise UsageError(
                f"Expected in [sess] of {source}: {', '.join(names)}; found {name!r}.{did_you_mean(name, names)}"
            )
    absent = [name for name, required in names.items() if required and name not in given]
    if absent:
        raise UsageError(f"Expected {', '.join(absent)} in [sess] of {source}, for the variant {variant}; not there.")
    try:
        return kind(**given)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


def read_sess_settings(path: str | os.PathLike[str]) -> Settings:
    """The settings in a TOML file's table [sess].

    Raises:
        UsageError: no such file, no such table, another table beside it, or as `sess_settings`.
    """
    import tomllib

    file = Path(path)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Expected a file of SeSS settings; {file}: {error.strerror or error}.") from error
    except ValueError as error:  # TOML's and Unicode's own are of that kind
        raise UsageError(f"Expected TOML in {file}; {error}.") from error
    table = document.get("sess")
    if set(document) != {"sess"} or not isinstance(table, Mapping):
        there = ", ".join(document) or "nothing"
        raise UsageError(f"Expected one table, [sess], in {file}; found {there}.")
    return sess_settings(table, source=str(file))


def sess_settings_toml(settings: Settings, *, comments: Sequence[str] = ()) -> str:
    """The file's text; `read_sess_settings` gives the same settings again, to the last digit.

    Args:
        settings: what is written, every name.
        comments: lines above the table.
    """
    lines = [f"# {' '.join(line.split())}" for line in comments]
    lines.append("[sess]")
    for name, value in settings.to_dict().items():
        lines.append(f"{name} = {json.dumps(value)}")  # plain numbers, words and truth are alike in both
    return "\n".join(lines) + "\n"
