"""SeSS's hyper-parameters together, and the file that `semetric score --config` takes.

The file is TOML with one table:

    [sess]
    alpha = 0.25
    saliency_root = 2.25

Names that it leaves out keep the paper's values (SeSS, arXiv 2406.03865, Table II); names that do not exist raise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from semetric.errors import UsageError, did_you_mean
from semetric.scene.matching import MatchingSettings
from semetric.scene.weighting import ImportanceSettings

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SessSettings", "read_sess_settings", "sess_settings_toml"]


@dataclass(frozen=True, kw_only=True)
class SessSettings:
    """All that shapes SeSS beside the networks.

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

    def to_dict(self) -> dict[str, float | int | bool]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, source: str = "the settings") -> SessSettings:
        """Those of a table; what it leaves out is the paper's.

        Raises:
            UsageError: a name that does not exist, or a value that does not fit.
        """
        names = [field.name for field in fields(cls)]
        for name in values:
            if name not in names:
                raise UsageError(
                    f"Expected in [sess] of {source}: {', '.join(names)}; found {name!r}.{did_you_mean(name, names)}"
                )
        try:
            return cls(**values)
        except UsageError as error:
            raise UsageError(f"{source}: {error}") from error


SessSettings.PAPER = SessSettings()
SessSettings.DEMO = SessSettings(
    gamma=0.05, location=0.2, in_place=True, saliency_root=2.5, relation_root=3.0, relation_share=0.2
)


def read_sess_settings(path: str | os.PathLike[str]) -> SessSettings:
    """The settings in a TOML file's table [sess].

    Raises:
        UsageError: no such file, no such table, another table beside it, or as `SessSettings.from_dict`.
    """
    import tomllib

    file = Path(path)
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Expected a file of SeSS settings; {file}: {error.strerror or error}.") from error
    except ValueError as error:  # TOML's and Unicode's own are of that kind
        raise UsageError(f"Expected TOML in {file}; {error}.") from error
    table = found.get("sess")
    if set(found) != {"sess"} or not isinstance(table, Mapping):
        there = ", ".join(found) or "nothing"
        raise UsageError(f"Expected one table, [sess], in {file}; found {there}.")
    return SessSettings.from_dict(table, source=str(file))


def sess_settings_toml(settings: SessSettings, *, comments: Sequence[str] = ()) -> str:
    """The file's text; `read_sess_settings` gives the same settings again, to the last digit.

    Args:
        settings: what is written, every name.
        comments: lines above the table.
    """
    lines = [f"# {' '.join(line.split())}" for line in comments]
    lines.append("[sess]")
    for name, value in settings.to_dict().items():
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        lines.append(f"{name} = {shown}")
    return "\n".join(lines) + "\n"
