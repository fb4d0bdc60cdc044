"""What a network says of samples: the same in any company and thread."""

import threading

import numpy as np
import pytest

from tests.helpers import classify, cluster

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_threads_may_predict_at_once(data):
    clusterer = cluster(module="mlp").fit(data)
    expected = clusterer.predict_proba(data), clusterer.transform(data)
    failures = []

    def work():
        for _ in range(20):
            if not np.array_equal(clusterer.predict_proba(data), expected[0]):
                failures.append("predict_proba")
            if not np.array_equal(clusterer.transform(data), expected[1]):
                failures.append("transform")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("module", ["linear", "mlp"])
def test_predictions_do_not_depend_on_the_other_samples(module, data):
    clusterer = cluster(module=module).fit(data)
    expected = clusterer.predict_proba(np.tile(data, (40, 1)))[:300]
    for size in (1, 3, 17, 128):
        parts = [
            clusterer.predict_proba(data[i : i + size]) for i in range(0, 300, size)
        ]
        assert np.array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize("module", ["linear", "mlp"])
def test_samples_too_large_for_the_network_are_named(module, X, y, quick):
    large = np.vstack([X, 1e38 * np.array([[1, -1, 1, -1]])]).astype(np.float32)
    for estimator in (quick(module=module), classify(module=module)):
        estimator.fit(X, y)
        scale = np.array(1.0)
        for parameter in estimator.module_.parameters():
            parameter.data.mul_(100)
        methods = {"predict", "predict_proba", "transform"} & set(dir(estimator))
        for method in methods:
            call = getattr(estimator, method)
            with pytest.raises(ValueError, match="^X has values too large.*sample 60"):
                call(large)
            assert np.isfinite(call(X * scale)).all()
