"""Wrong labels that cleanlab finds with the classifier's probabilities."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict

from sklearn_cce import CollisionClassifier


@pytest.fixture(scope="module")
def digits():
    """600 digits, what they are, and labels of which a fifth is drawn at random."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:600] / 16, y[:600]
    rng = np.random.default_rng(0)
    drawn = rng.random(len(y)) < 0.2
    return X, y, np.where(drawn, rng.integers(10, size=len(y)), y)


@pytest.fixture
def classifier():
    return CollisionClassifier(label_smoothing=0.5, max_epochs=20, random_state=0)


def precision_and_recall(wrong, reported):
    return wrong[reported].mean(), reported[wrong].mean()


def test_wrong_labels_are_found(digits, classifier):
    cleanlab_filter = pytest.importorskip("cleanlab.filter")
    X, y, given = digits
    probabilities = cross_val_predict(
        classifier, X, given, cv=3, method="predict_proba"
    )
    reported = cleanlab_filter.find_label_issues(given, probabilities, n_jobs=1)
    precision, recall = precision_and_recall(given != y, reported)
    assert precision > 0.6 and recall > 0.85


def test_cleanlab_trains_without_the_wrong_labels(digits, classifier):
    classification = pytest.importorskip("cleanlab.classification")
    X, y, given = digits
    cleaned = classification.CleanLearning(classifier, cv_n_folds=3, seed=0)
    cleaned.fit(X, given)
    reported = cleaned.get_label_issues().is_label_issue.to_numpy()
    precision, recall = precision_and_recall(given != y, reported)
    assert precision > 0.85 and recall > 0.85
    assert np.mean(cleaned.predict(X) == y) > 0.95
    assert cleaned.predict_proba(X).shape == (600, 10)
