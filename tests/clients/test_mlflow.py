"""Models and trainings that mlflow keeps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import MlflowLogger

from sklearn_cce import TRUSTED_TYPES
from tests.helpers import classify, cluster

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def mlflow():
    pytest.importorskip("mlflow.sklearn")
    return pytest.importorskip("mlflow")


def save(mlflow, model, path, trusted):
    mlflow.sklearn.save_model(
        model,
        path,
        serialization_format="skops",
        skops_trusted_types=trusted,
        pip_requirements=["sklearn-cce"],
    )
    return str(path)


@pytest.mark.parametrize("make", [cluster, classify])
def test_a_model_is_kept_without_pickle(make, X, y, mlflow, tmp_path):
    pytest.importorskip("skops.io")
    model = make_pipeline(StandardScaler(), make()).fit(X, y)
    path = save(mlflow, model, tmp_path / "model", list(TRUSTED_TYPES))
    assert not list(tmp_path.rglob("*.pkl"))
    again = mlflow.sklearn.load_model(path)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    served = mlflow.pyfunc.load_model(path)
    assert_array_equal(served.predict(X), model.predict(X))


def test_types_that_nobody_trusts_are_refused(X, mlflow, tmp_path):
    pytest.importorskip("skops.io")
    with pytest.raises(mlflow.MlflowException, match="_clusterer.CollisionClusterer"):
        save(mlflow, cluster().fit(X), tmp_path / "model", None)


def test_a_training_is_logged(X, mlflow, tmp_path):
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    client = tracking.MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    folder = client.create_experiment("clusters", (tmp_path / "files").as_uri())
    run = client.create_run(folder)
    logger = MlflowLogger(run, client, create_artifact=False)
    history = cluster(callbacks=[logger]).fit(X).history_
    logged = client.get_metric_history(run.info.run_id, "train_loss")
    assert [metric.step for metric in logged] == list(np.arange(len(history)) + 1)
    assert_allclose([m.value for m in logged], history[:, "train_loss"])
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
