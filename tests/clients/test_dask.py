"""A search whose fits run in workers of Dask."""

import joblib
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_cce.model_selection import silhouette_scorer
from tests.helpers import cluster

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def workers():
    distributed = pytest.importorskip("distributed")
    local = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    )
    with local, distributed.Client(local) as client:
        yield client


def test_a_search_in_workers_has_the_scores_of_a_local_one(X, workers):
    """Two fits at a time in the threads of one worker, where scikit-learn asks Dask."""
    model = Pipeline([("scale", StandardScaler()), ("cluster", cluster(max_epochs=20))])
    params = {"cluster__fairness_weight": [0.5, 5.0], "cluster__n_clusters": [2, 3]}
    search = GridSearchCV(model, params, scoring=silhouette_scorer, cv=2)
    local = search.fit(X).cv_results_
    with joblib.parallel_config(backend="dask"):
        there = search.set_params(n_jobs=-1).fit(X).cv_results_
    (n_tasks,) = workers.run(lambda dask_worker: len(dask_worker.state.log)).values()
    assert n_tasks > 0
    for split in ("split0", "split1", "mean"):
        name = f"{split}_test_score"
        assert_array_equal(there[name], local[name])
    assert search.best_params_["cluster__n_clusters"] == 3
