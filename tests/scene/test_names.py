from __future__ import annotations

from dataclasses import replace

import numpy as np

from semetric.scene import rle
from semetric.scene.graph import SceneGraph
from semetric.scene.names import LEAST_AREA, LEAST_NAMED, class_names


def graph(**changes: object) -> SceneGraph:
    masks = np.zeros((2, 10, 10), bool)
    masks[0, :5], masks[1, 5:] = True, True
    plain = SceneGraph(
        size=(10, 10),
        rle=rle.encode(masks),
        boxes=np.array([[0, 0, 10, 5], [0, 5, 10, 10]]),
        centres=np.array([[0.25, 0.5], [0.75, 0.5]]),
        areas=np.array([0.5, 0.5]),
        iou=np.ones(2, np.float32),
        stability=np.ones(2, np.float32),
        features=np.eye(2, dtype=np.float32),
        image_feature=np.ones(2, np.float32),
        cell_features=np.zeros((0, 2), np.float32),
        held=np.zeros((2, 0)),
        classes=np.array([504, 285]),
        class_probabilities=np.array([LEAST_NAMED, 0.99], np.float32) + np.float32(1e-4),
        importance=np.array([0.5, 0.5]),
        triplets=np.array([[0, 1, 7], [0, 1, 3]]),
        probabilities=np.array([0.9, 0.2]),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_classes_are_in_the_order_of_ilsvrc_2012() -> None:
    labels = class_names()
    assert len(labels) == len(set(labels)) == 1000
    known = {0: "tench", 285: "Egyptian cat", 404: "airliner", 504: "coffee mug", 963: "pizza", 967: "espresso"}
    assert {index: labels[index] for index in known} == known


def test_an_object_is_named_where_the_classifier_is_sure_and_the_object_is_no_speck() -> None:
    assert graph().names == ("coffee mug", "Egyptian cat")
    unsure = np.array([LEAST_NAMED - 0.01, 0.99], np.float32)
    assert graph(class_probabilities=unsure).names == (None, "Egyptian cat")
    assert graph(areas=np.array([0.5, LEAST_AREA / 2])).names == ("coffee mug", None)
    assert graph(classes=np.array([-1, -1])).names == (None, None)


def test_json_holds_the_names() -> None:
    one, two = graph(class_probabilities=np.array([0.1, 0.99], np.float32)).to_dict()["objects"]
    assert (one["name"], one["name_probability"]) == (None, None)
    assert (two["name"], two["name_probability"]) == ("Egyptian cat", 0.99)


def test_of_several_relations_of_a_pair_the_most_probable_is_the_pairs() -> None:
    assert graph().relations.tolist() == [[-1, 7], [-1, -1]]
