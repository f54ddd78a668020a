"""SeSS: how well the scene graphs of two images match (Fan et al. 2024, arXiv 2406.03865).

`variant="graded"`, the default of the profile lite, is continuous: masks, relations and matches fade in.
`variant="paper"` follows the paper's equations and Table II, `variant="demo"` the published code, which adds a
location term, weighs relations into importance, and updates in place; see docs/metrics/sess.md.
`settings` takes hyper-parameters of one's own, such as `semetric learn tune` finds; their results say "tuned".
SeSS has no gradient: segmentation and assignment are discrete. Train on SAMScore or DreamSim.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.image import Picture
from semetric.metrics.base import Metric, Score
from semetric.metrics.sess_settings import SessSettings, Settings
from semetric.models.runtime import Runtime
from semetric.profiles import VARIANTS
from semetric.scene.build import GraphBuilder
from semetric.scene.graded import GradedSettings, match_graded
from semetric.scene.graph import SceneGraph
from semetric.scene.importance import STORED_ROOT, object_importance
from semetric.scene.matching import Matching, MatchingSettings, match, prepare
from semetric.score_settings import Variant

__all__ = ["SeSS"]

_MATCHING = {"paper": MatchingSettings.PAPER, "demo": MatchingSettings.DEMO}


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Cosine of two vectors; 0 where one has no length."""
    norm = float(np.linalg.norm(a.astype(np.float64))) * float(np.linalg.norm(b.astype(np.float64)))
    return float(np.dot(a.astype(np.float64), b.astype(np.float64))) / norm if norm else 0.0


class SeSS(Metric):
    """Scene-graph similarity. Artefacts: `graphs` (two SceneGraph) and `matching` (Matching).

    Args:
        runtime: whose profile names SAM, mask generation, object encoder and relations.
        variant: "graded", "paper" or "demo"; None takes the profile's.
        matching: other hyper-parameters than the variant's; results then have the variant "custom".
        settings: hyper-parameters of one's own, importance included, instead of a variant's; results then have the
            variant "tuned" (SessSettings) or "graded_tuned" (GradedSettings) and hold the settings.

    Raises:
        UsageError: no such variant, settings beside a variant or matching, or no calibration for graded SeSS.
    """

    name = "sess"
    label = "SeSS"
    summary = "objects and relations"
    paper = "arXiv 2406.03865"
    place = 12
    networks = ("sam", "masks", "objects", "relations", "predicates")
    higher_is_better = True
    range = (0.0, 1.0)
    equal_sizes = False
    no_gradient = "segmentation and assignment are discrete"

    def __init__(
        self,
        runtime: Runtime,
        *,
        variant: Variant | None = None,
        matching: MatchingSettings | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(runtime)
        if variant is not None and variant not in VARIANTS:
            raise UsageError(f"Expected a variant of SeSS among {', '.join(VARIANTS)}; found {variant!r}.")
        if settings is not None and (variant is not None or matching is not None):
            raise UsageError("Expected settings of SeSS or a variant; found both. The settings name every value.")
        if settings is not None and not isinstance(settings, SessSettings | GradedSettings):
            raise UsageError(
                f"Expected settings of SeSS as SessSettings or GradedSettings; found {type(settings).__name__}."
            )
        if matching is not None and not isinstance(matching, MatchingSettings):
            raise UsageError(f"Expected matching as MatchingSettings; found {type(matching).__name__}.")
        if matching is not None and variant == "graded":
            raise UsageError("Expected matching beside the variant paper or demo; found it beside graded.")
        base: Variant = variant or ("paper" if matching is not None else runtime.profile.variant)
        if settings is not None:
            base = settings.variant
        self.settings = settings
        self.builder = GraphBuilder(runtime, variant=base)  # tuned importance is made from the paper's
        self.matching: MatchingSettings | GradedSettings
        if base == "graded":
            self.matching = settings if isinstance(settings, GradedSettings) else self.builder.graded_settings
            self.variant: str = "graded" if settings is None else "graded_tuned"
        else:
            self.matching = settings.matching if isinstance(settings, SessSettings) else matching or _MATCHING[base]
            own = self.matching != _MATCHING[base]
            self.variant = "tuned" if settings is not None else "custom" if own else base  # never taken for another

    @property
    def weights(self) -> Mapping[str, str]:
        """SAM, object encoder, relation head and predicate similarity."""
        return {**self.builder.weights, **self.builder.comparison_weights}

    def _score(self, reference: Picture, image: Picture) -> Score:
        a, b, matching = self._matched(reference, image)
        details: dict[str, object] = {
            "variant": self.variant,
            "objects": [len(a), len(b)],
            "relations": [len(a.triplets), len(b.triplets)],
            "graph_score": matching.graph_score,
            "image_similarity": matching.image_similarity,
        }
        if self.settings is not None:
            details["settings"] = self.settings.to_dict()
        elif self.variant in ("custom", "graded"):
            details["matching"] = dataclasses.asdict(self.matching)
        value = min(max(matching.score, 0.0), 1.0)  # identical graphs sum to 1 but for rounding
        return self._make(value, details, graphs=(a, b), matching=matching)

    def _matched(self, reference: Picture, image: Picture) -> tuple[SceneGraph, SceneGraph, Matching]:
        if isinstance(self.matching, GradedSettings):
            a, b = self.builder(reference), self.builder(image)
            alike = cosine(a.image_feature, b.image_feature)
            similarity = self.builder.predicate_similarity
            return a, b, match_graded(a.graded, b.graded, similarity, alike, self.matching)
        warm = threading.Thread(target=prepare, daemon=True)  # compiles once a machine, beside the networks
        warm.start()
        a, b = self._weighed(self.builder(reference)), self._weighed(self.builder(image))
        warm.join()
        alike = cosine(a.image_feature, b.image_feature)
        return a, b, match(a.arrays, b.arrays, self.builder.predicate_similarity, alike, self.matching)

    def _weighed(self, graph: SceneGraph) -> SceneGraph:
        """The graph with the importance that the settings ask for."""
        if not isinstance(self.settings, SessSettings):
            return graph
        importance = object_importance(
            graph.importance, graph.triplets[:, :2], graph.probabilities, self.settings.importance, root=STORED_ROOT
        )
        return dataclasses.replace(graph, importance=importance)
