"""Label lists and the reading of predictions."""

import numpy as np
import pytest

from kinetics_i3d.core.labels import (
    BY_COUNT,
    check_class_names,
    decode_predictions,
    label_list,
    softmax,
)


@pytest.mark.parametrize(("name", "count"), [("kinetics400", 400), ("kinetics600", 600)])
def test_lists_are_complete(name, count):
    labels = label_list(name)
    assert len(labels) == len(set(labels)) == count and BY_COUNT[count] == name
    assert all(label and label == label.strip() for label in labels)


@pytest.mark.parametrize(
    ("name", "file"), [("kinetics400", "label_map.txt"), ("kinetics600", "label_map_600.txt")]
)
def test_lists_are_those_of_the_release(shared, name, file):
    text = (shared / "reference" / file).read_text(encoding="utf-8")
    assert label_list(name) == tuple(line.strip() for line in text.splitlines() if line.strip())


def test_the_lists_have_known_places():
    labels = label_list("kinetics400")
    assert (labels[0], labels[227], labels[399]) == ("abseiling", "playing cricket", "zumba")


def test_labels_may_be_an_array():
    """Such as scikit-learn's `LabelEncoder().classes_`."""
    labels = np.array(["sit", "wave"])
    ((best, *_),) = decode_predictions([[0.0, 1.0]], labels=labels, top=2)
    assert best[0] == "wave"


def test_an_unknown_list_is_refused():
    with pytest.raises(
        ValueError, match=r"one of \['kinetics400', 'kinetics600'\]. Rec.*name='k700'"
    ):
        label_list("k700")


def test_softmax_is_stable_and_sums_to_one():
    logits = np.array([[0.0, np.log(3)], [1000.0, 1000.0]], np.float32)
    found = softmax(logits)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(softmax(np.random.default_rng(0).normal(0, 9, (2, 3, 5))).sum(-1), 1)


def test_the_released_sample_is_named():
    # The release publishes logit 25.856646 and p 0.9999968 for its sample of cricket.
    logits = np.zeros((1, 400))
    logits[0, 227] = 25.856646
    ((label, probability),) = decode_predictions(logits, top=1)[0]
    assert label == "playing cricket" and probability > 0.99999


def test_rows_are_decoded_best_first():
    probabilities = [[0.1, 0.7, 0.2], [0.5, 0.0, 0.5]]
    predictions = decode_predictions(probabilities, labels=tuple("abc"), from_logits=False, top=2)
    assert predictions == [[("b", 0.7), ("c", 0.2)], [("a", 0.5), ("c", 0.5)]]
    names = map(str.upper, "abc")
    assert decode_predictions([[0.0, 1.0, 0.0]], labels=names, top=1)[0][0][0] == "B"


def test_of_equals_the_first_comes_first():
    logits = np.random.default_rng(0).integers(0, 4, (1, 400))
    names = [label for label, _ in decode_predictions(logits, top=400)[0]]
    order = sorted(range(400), key=lambda index: (-logits[0, index], index))
    assert names == [label_list("kinetics400")[index] for index in order]


def test_logits_become_probabilities():
    predictions = decode_predictions(np.log([[2.0, 5.0, 3.0]]), labels=tuple("abc"))
    assert [label for label, _ in predictions[0]] == ["b", "c", "a"]
    np.testing.assert_allclose([p for _, p in predictions[0]], [0.5, 0.3, 0.2])
    assert all(type(p) is float for _, p in predictions[0])


def test_top_is_five_or_all_there_are():
    logits = np.arange(8.0)[None]
    assert len(decode_predictions(logits, labels=tuple("abcdefgh"))[0]) == 5
    assert len(decode_predictions(logits, labels=tuple("abcdefgh"), top=99)[0]) == 8


@pytest.mark.parametrize("classes", [400, 600])
def test_releases_are_known_by_their_number(classes):
    logits = np.zeros((1, classes))
    logits[0, classes - 1] = 1
    assert decode_predictions(logits, top=1, labels=())[0][0][0] == "zumba"


@pytest.mark.parametrize(
    ("predictions", "labels", "why"),
    [
        (
            [0.0, 1.0],
            ("a", "b"),
            r"`predictions` must be \(batch, classes\). Received: shape=\(2,\)",
        ),
        ([[0.0, 1.0]], None, r"is one of \[400, 600\]. Received: labels=None and 2 classes"),
        ([[0.0, 1.0]], ("a", "b", "c"), "`labels` must name 2 classes. Received: 3 labels"),
        (np.zeros((1, 400)), ("a", "b", "c"), "`labels` must name 400 classes"),
    ],
)
def test_wrong_arguments(predictions, labels, why):
    with pytest.raises(ValueError, match=why):
        decode_predictions(predictions, labels=labels)


@pytest.mark.parametrize(
    "names",
    [
        ("same", "same"),
        ("a", None),
        ("a", "b\nc"),
        ("a", "\x1b[31mb"),
        ("a", "b" * 1001),
        ("a", "\u2028"),
        ("a", ""),
        ("a", " \t"),
    ],
)
def test_class_names_that_would_mislead_are_refused(names):
    with pytest.raises(ValueError, match="class names must"):
        check_class_names(names)


def test_class_names_of_any_language_and_of_imagenet_are_accepted():
    check_class_names(("Ünïcode – 走る", "a, b"))
    check_class_names((*(f"class {number}" for number in range(998)), "class 0", "class 1"))
