"""Digital links against joint source-channel coding, over a noisy channel (arXiv 2406.03865, IV-C, Fig. 10-11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from semetric.errors import UsageError
from semetric.lab.channels.registry import CHANNELS, channel_named
from semetric.lab.experiments.base import Axis, Context, Report, Sweep, check_levels
from semetric.lab.experiments.own_systems import OpenExperiment, check_options, codec_table, named_codec, sweep_of
from semetric.settings import setting

if TYPE_CHECKING:
    from semetric.lab.channels.link import Link
    from semetric.lab.systems import System

__all__ = ["USES_PER_PIXEL", "Channel"]

USES_PER_PIXEL = 0.25  # of the DeepJSCC that comes with the package
_NONE = "none"
_SHIPPED = {"plain": "none", "16qam": "16qam"}  # name here → constellation


@dataclass(frozen=True, kw_only=True)
class Channel(OpenExperiment):
    """Codecs with LDPC against DeepJSCC, over a noisy channel.

    All take equal channel uses per pixel. A system of one's own takes an image and the SNR in dB, and gives an image
    and its number of channel uses, which are held against the others'.

    Attributes:
        codec_options: a codec's name → its options.
    """

    kind: ClassVar[str] = "channel"
    axis: ClassVar[Axis] = Axis(name="snr_db", label="SNR", unit="dB")
    title: ClassVar[str] = "Metrics over a channel"
    report: ClassVar[Report] = Report(tables=("overall", "differences", "crossings", "failed"))
    example: ClassVar[str] = "semetric lab channel photos --snrs-db 0,5,10,15 --metric psnr,sess --out runs/channel"

    codecs: tuple[str, ...] = setting(("jpeg",), "Codecs of the digital links; none for no digital link.")
    modulations: tuple[str, ...] = setting(("16qam",), "Modulations: bpsk, qpsk, 16qam, 64qam.")
    code_rate: str = setting(
        "1/2",
        "Rate of the LDPC code: 1/3, 1/2, 2/3, 3/4, 5/6, or 1 for no code.",
        words=("1/3", "1/2", "2/3", "3/4", "5/6", "1"),
    )
    retransmissions: int = setting(
        0,
        "How often a code block whose parity checks fail is sent again, at most; the copies are combined, and count as "
        "channel uses.",
        low=0,
    )
    deepjscc: tuple[str, ...] = setting(
        ("plain",), "DeepJSCC networks: plain, 16qam, files of weights (see train-deepjscc), or none."
    )
    uses_per_pixel: float | None = setting(
        None, "Complex channel symbols per pixel of the digital links and of systems of your own. Default: DeepJSCC's."
    )
    snrs_db: tuple[float, ...] = setting((0.0, 3.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0), "Signal-to-noise ratios in dB.")
    snr_kind: Literal["es_n0", "eb_n0"] = setting(
        "es_n0", "What the SNR is: es_n0, of a symbol; or eb_n0, of an information bit, which DeepJSCC does not have."
    )
    fading: str = setting(
        "none",
        "Fading: none; rayleigh, a gain a symbol; rayleigh_block, a code block; rayleigh_stream, an image, as DeepJSCC "
        "has under all; rician or jakes, with options as rician:k_factor=4.",
        words=tuple(CHANNELS),
    )
    fallback: Literal["grey", "rows"] = setting("grey", "Image shown for a rejected stream: grey or rows.")
    codec_options: Mapping[str, Any] = field(default_factory=dict)

    def level_axis(self) -> Axis:
        """Es/N0 or Eb/N0, in dB."""
        return Axis(name="snr_db", label="Es/N0" if self.snr_kind == "es_n0" else "Eb/N0", unit="dB")

    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
        """Each codec with each modulation, then each DeepJSCC, then the systems of one's own."""
        from semetric.lab.channels.budget import check_uses

        check_levels("snrs_db", self.snrs_db, low=-50.0, high=100.0)
        channel_named(self.fading)
        codecs, joint = (tuple(name for name in names if name != _NONE) for names in (self.codecs, self.deepjscc))
        tables = [codec_table(name, self.codec_options) for name in codecs]
        whole = [*(table for table in tables if "run" in table), *self.tables()]
        coded = [table["name"] for table in tables if "run" not in table]
        if not codecs and not joint and not whole:
            raise UsageError("Expected at least one codec, DeepJSCC or system of your own; found neither.")
        if coded and not self.modulations:
            raise UsageError("Expected at least one modulation; found none.")
        if joint and self.snr_kind != "es_n0":
            raise UsageError(
                f"Expected snr_kind es_n0 beside DeepJSCC, which sends no bits; found {self.snr_kind!r}. "
                "Leave DeepJSCC out (--deepjscc none)."
            )
        check_options(codecs, self.codec_options)
        links = [self._link(name) for name in self.modulations] if coded else []
        names = _names(joint)
        networks = [self._network(path, name, context) for path, name in zip(joint, names, strict=True)]
        budget = self.uses_per_pixel
        if budget is None and networks:
            budget = 3 * float(networks[0].to_dict()["bandwidth_ratio"])
        uses = USES_PER_PIXEL if budget is None else budget
        if coded or whole:
            for network in networks:
                check_uses(network.label, 3 * float(network.to_dict()["bandwidth_ratio"]), uses)
        digital = [
            self._coded(named_codec(name, self.codec_options.get(name, {})), link, uses)
            for name in coded
            for link in links
        ]
        own = [self._own(table, context, uses if digital or networks else budget) for table in whole]
        return (*(Sweep(system=system, levels=self.snrs_db) for system in (*digital, *networks)), *own)

    def _own(self, table: Mapping[str, Any], context: Context, budget: float | None) -> Sweep:
        """A system of one's own, whose channel uses are held against the budget, if there is one."""
        from semetric.lab.channels.budget import BudgetedSystem, check_uses
        from semetric.lab.codecs import ExternalSystem
        from semetric.lab.experiments.folders import FolderSystem

        sweep = sweep_of(table, context, self.level_axis(), self.snrs_db)
        system = sweep.system
        if budget is None:
            return sweep
        if isinstance(system, FolderSystem | ExternalSystem) and system.uses_per_pixel is not None:
            check_uses(system.label, system.uses_per_pixel, budget)
        if isinstance(system, FolderSystem):
            return sweep
        if isinstance(system, ExternalSystem) and not system.states_uses:
            raise UsageError(
                f"Expected the channel uses of {system.label}, to hold them against the others'; its command line has "
                "no {uses}, a file to write their number to. Add it, or set uses_per_pixel of the system."
            )
        return Sweep(system=BudgetedSystem(system, uses_per_pixel=budget), levels=sweep.levels)

    def _link(self, modulation: str) -> Link:
        from semetric.lab.channels.link import Link

        return Link(
            modulation=modulation,
            code_rate=self.code_rate,
            fading=self.fading,
            snr_kind=self.snr_kind,
            retransmissions=self.retransmissions,
        )

    def _coded(self, codec: Any, link: Link, uses: float) -> System:
        from semetric.lab.channels.system import CodedSystem

        return CodedSystem(codec, link, uses_per_pixel=uses, fallback=self.fallback)

    def _network(self, weights: str, name: str, context: Context) -> System:
        from semetric.lab.deepjscc.system import DeepJsccSystem

        device = context.runtime.device
        if weights in _SHIPPED:
            constellation: Any = _SHIPPED[weights]
            return DeepJsccSystem(constellation=constellation, fading=self.fading, device=device)
        return DeepJsccSystem(weights, fading=self.fading, device=device, name=name, label=name)


def _names(weights: Sequence[str]) -> list[str]:
    """Of the curves: a file's own name, or its folder's where the name says nothing or another file has it."""
    stems = [Path(path).name.removesuffix(".safetensors") for path in weights]
    folders = [Path(path).absolute().parent.name for path in weights]
    return [
        folder if folder and (stem == "weights" or stems.count(stem) > 1) else stem
        for stem, folder in zip(stems, folders, strict=True)
    ]
