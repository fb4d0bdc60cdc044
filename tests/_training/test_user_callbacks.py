"""The callbacks that a user passes: in place, those that work, their parameters."""

import copy
import pickle
import time
import types

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch import callbacks as skorch_callbacks
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
)

from tests.helpers import assert_untouched, classify, cluster, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Slow(Callback):
    """Let every step take so long that a bar moves on."""

    def on_batch_begin(self, net, **kwargs):
        time.sleep(0.15)


class Log(Callback):
    """Note the epochs since the last initialisation, and how many there were."""

    n_initialised = 0

    def initialize(self):
        self.rows_ = []
        self.n_initialised_ = getattr(self, "n_initialised_", 0) + 1
        return self

    def on_epoch_end(self, net, **kwargs):
        self.rows_.append(len(net.history))


class Handle(Callback):
    """Hold what cannot be pickled, as an open file cannot."""

    def initialize(self):
        self.handle_ = (i for i in [])
        return self


@pytest.fixture
def y(data):
    return np.repeat([0, 1, 2], len(data) // 3)


# In place


def test_a_callback_is_used_as_it_is(data):
    log = Log()
    clusterer = cluster(callbacks=[("log", log)]).fit(data)
    assert log.rows_ == [1, 2, 3]
    assert clusterer.callbacks == [("log", log)]
    assert dict(clusterer.net_.callbacks_)["log"] is log


def test_every_fit_begins_with_an_initialised_callback(data):
    log = Log()
    clusterer = cluster(callbacks=[log])
    clusterer.fit(data).fit(data)
    assert log.rows_ == [1, 2, 3]
    assert log.n_initialised_ == 2


def test_the_same_callbacks_watch_one_network_after_the_other(data):
    log = Log()
    cluster(callbacks=[log], init="random", n_init=3).fit(data)
    assert log.n_initialised_ == 3


def test_a_fit_that_goes_on_does_not_initialise_a_callback_again(data):
    log = Log()
    clusterer = cluster(callbacks=[log], warm_start=True).fit(data).fit(data)
    clusterer.partial_fit(data)
    assert log.n_initialised_ == 1
    assert log.rows_ == list(range(1, len(clusterer.history_) + 1))


def test_a_fit_that_goes_on_takes_the_present_callbacks(data):
    first, second = Log(), Log()
    clusterer = cluster(callbacks=[first]).partial_fit(data)
    clusterer.set_params(callbacks=[second]).partial_fit(data)
    assert (first.rows_, second.rows_) == ([1, 2, 3], [4])
    clusterer.set_params(callbacks=None).partial_fit(data)
    assert (first.rows_, second.rows_) == ([1, 2, 3], [4])


def test_a_clone_has_callbacks_of_its_own(data):
    stop = EarlyStopping("train_loss", patience=7)
    clusterer = cluster(callbacks=[("stop", stop), Log])
    other = clone(clusterer)
    assert other.callbacks[0][1] is not stop
    assert other.callbacks[0][1].patience == 7
    assert other.callbacks[1] is Log
    other.fit(data)
    assert stop.dynamic_threshold_ is None


def test_callbacks_change_no_result(data):
    watched = cluster(callbacks=[Log(), PrintLog(sink=[].append)]).fit(data)
    plain = cluster().fit(data)
    assert np.array_equal(watched.predict_proba(data), plain.predict_proba(data))


def test_the_labels_of_the_start_need_no_copy_of_a_callback(data):
    handle = Handle().initialize()
    handle.writer = handle.handle_  # clone could not copy this
    (labels,) = cluster(callbacks=[handle]).start_labels(data)
    assert len(labels) == len(data)


# Pickled, and copied


def test_a_net_is_pickled_and_copied_without_callbacks(data):
    clusterer = cluster(callbacks=[Handle()]).fit(data)
    for net in (pickle.loads(pickle.dumps(clusterer.net_)), copy.copy(clusterer.net_)):
        assert [name for name, _ in net.callbacks_] == ["epoch_timer"]
    clusterer.partial_fit(data)  # on a copy
    with pytest.raises(TypeError, match="generator"):
        pickle.dumps(clusterer)
    clusterer.set_params(callbacks=None)
    assert np.array_equal(
        pickle.loads(pickle.dumps(clusterer)).predict(data), clusterer.predict(data)
    )


def test_a_pickled_estimator_has_its_callbacks_and_goes_on(data):
    clusterer = cluster(callbacks=[Log()]).fit(data)
    loaded = pickle.loads(pickle.dumps(clusterer))
    assert loaded.callbacks[0].rows_ == [1, 2, 3]
    loaded.partial_fit(data)
    assert loaded.callbacks[0].rows_ == [4]
    assert clusterer.callbacks[0].rows_ == [1, 2, 3]


# The history


def test_the_best_loss_of_a_training_is_marked(data):
    clusterer = cluster(max_epochs=9, init="random", callbacks=[Log()]).fit(data)
    losses = clusterer.history_[:, "train_loss"]
    least = np.minimum.accumulate([np.inf, *losses])[:-1]
    best = clusterer.history_[:, "train_loss_best"]
    assert best == [bool(b) for b in losses < least]
    assert all(type(b) is bool for b in best)
    for row in clusterer.history_:
        assert sum(b["train_batch_size"] for b in row["batches"]) == len(data)
        assert row["train_batch_count"] == len(row["batches"])
        mean = np.mean([b["train_loss"] for b in row["batches"]])
        assert mean == pytest.approx(row["train_loss"], rel=1e-5)


def test_the_best_accuracy_on_held_out_samples_is_marked(data, y):
    noisy = np.where(np.random.default_rng(0).random(len(y)) < 0.5, y, 0)
    log = EarlyStopping("valid_accuracy", lower_is_better=False, patience=50)
    model = classify(early_stopping=True, max_epochs=20, callbacks=[log])
    history = model.fit(data, noisy).history_
    accuracy = np.array(history[:, "valid_accuracy"])
    before = np.maximum.accumulate([-np.inf, *accuracy])[:-1]
    assert history[:, "valid_accuracy_best"] == (accuracy > before).tolist()


# The callbacks of skorch


class Fake:
    """Takes the place of a service: notes what is called."""

    def __init__(self, folder):
        self.dir, self.calls = str(folder), []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.calls.append((name, args))


def test_checkpoint_saves_the_best_epoch_and_loads_it(data, tmp_path):
    save = Checkpoint(monitor="train_loss_best", dirname=str(tmp_path))
    best = cluster(callbacks=[save], init="random", max_epochs=8).fit(data)
    assert best.history_[:, "event_cp"] == best.history_[:, "train_loss_best"]
    assert {f.name for f in tmp_path.iterdir()} >= {"params.pt", "history.json"}
    again = cluster(callbacks=[LoadInitState(save)], max_epochs=1, init="random")
    weights = torch.load(tmp_path / "params.pt")
    again.fit(data)
    for name, value in again.module_.state_dict().items():
        assert torch.allclose(value, weights[name], atol=1e-2)


def test_checkpoint_returns_to_the_best_epoch(data, y, tmp_path):
    save = Checkpoint("train_loss_best", dirname=str(tmp_path), load_best=True)
    model = classify(callbacks=[save], lr=0.5, max_epochs=6).fit(data, y)
    weights = torch.load(tmp_path / "params.pt")
    for name, value in model.module_.state_dict().items():
        assert torch.equal(value, weights[name])
    assert model.n_iter_ == len(model.history_)


def test_the_end_of_a_training_is_saved(data, y, tmp_path):
    save = TrainEndCheckpoint(dirname=str(tmp_path))
    model = classify(callbacks=[save]).fit(data, y)
    weights = torch.load(tmp_path / "train_end_params.pt")
    for name, value in model.module_.state_dict().items():
        assert torch.equal(value, weights[name])


def test_a_table_is_printed(data):
    lines = []
    cluster(callbacks=[PrintLog(sink=lines.append)]).fit(data)
    assert "train_loss" in lines[0] and "balance" in lines[0]
    assert len(lines) == 3 + 2


def test_the_bar_of_skorch_shows_the_loss(data, capsys):
    cluster(callbacks=[ProgressBar(), Slow()], max_epochs=1).fit(data)
    assert "train_loss=" in capsys.readouterr().err


def test_early_stopping_stops(data):
    stop = EarlyStopping("train_loss", patience=2, threshold=10, threshold_mode="abs")
    assert cluster(callbacks=[stop], max_epochs=50).fit(data).n_iter_ < 10


@pytest.mark.parametrize("policy", ["StepLR", "ReduceLROnPlateau"])
def test_a_scheduler_sets_the_rate(policy, data, y):
    params = {"step_size": 1} if policy == "StepLR" else {"patience": 0, "threshold": 9}
    schedule = LRScheduler(policy, **params)
    model = classify(callbacks=[schedule], lr=0.1, warm_start=True).fit(data, y)
    assert model.net_.optimizer_.param_groups[0]["lr"] < 0.01


def test_gradients_are_clipped(data, y):
    norms = []

    class Norm(Callback):
        def on_batch_end(self, net, **kwargs):
            grads = [p.grad.norm() for p in net.module_.parameters()]
            norms.append(float(torch.stack(grads).norm()))

    clip = GradientNormClipping(1e-3)
    classify(callbacks=[clip, Norm()]).fit(data, y)
    assert max(norms) <= 1.001e-3


def same_weights(callbacks, data, y):
    """Return the names of weights that five passes leave as one pass does."""
    params = {"callbacks": callbacks, "module": small}
    one = classify(max_epochs=1, **params).fit(data, y).module_.state_dict()
    more = classify(max_epochs=5, **params).fit(data, y).module_.state_dict()
    return [name for name, value in one.items() if torch.equal(value, more[name])]


def test_parameters_are_frozen_until_they_are_not(data, y):
    first = ["0.weight", "0.bias"]
    assert same_weights([Freezer("0.*")], data, y) == first
    assert same_weights([Freezer("0.*"), Unfreezer("0.*", at=6)], data, y) == first
    assert same_weights([Freezer("0.*"), Unfreezer("0.*", at=3)], data, y) == []


def test_parameters_are_mapped_and_initialised(data, y):
    mapped = ParamMapper("0.bias", fn=lambda p: p.data.fill_(7.0), at=2)
    last = Initializer("0.bias", fn=lambda p: p.data.fill_(5.0))
    for callback, value in ((mapped, 7.0), (last, 5.0)):
        classifier = classify(callbacks=[callback], module=small, lr=1e-6)
        bias = classifier.fit(data, y).module_.state_dict()["0.bias"]
        assert torch.allclose(bias, torch.tensor(value), atol=1e-3)


def test_scores_of_batches_are_noted_for_an_epoch(data, y):
    callbacks = [
        PassthroughScoring("train_loss", on_train=True),
        BatchScoring(
            lambda net, X, y: len(X),
            on_train=True,
            name="size",
            target_extractor=lambda info: info.target,
        ),
    ]
    history = classify(callbacks=callbacks).fit(data, y).history_
    assert all(15 < size <= 16 for size in history[:, "size"])
    assert "size_best" in history[-1]


def test_a_function_scores_an_epoch(data, y):
    def accuracy(net, X, y_):
        outputs = net.forward(torch.from_numpy(data))
        return float((outputs.argmax(1).numpy() == y).mean())

    score = EpochScoring(accuracy, lower_is_better=False, on_train=True)
    stop = EarlyStopping("accuracy", lower_is_better=False)
    model = classify(callbacks=[score, stop]).fit(data, y)
    assert model.history_[-1, "accuracy"] == model.score(data, y)
    plain = classify().fit(data, y)
    assert np.array_equal(model.predict_proba(data), plain.predict_proba(data))


def test_tensorboard_writes(data, tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        board = TensorBoard(writer, close_after_train=False)
        cluster(callbacks=[board]).fit(data)
    (file,) = tmp_path.iterdir()
    assert b"Loss/train_loss" in file.read_bytes()


def test_loggers_of_services_work(data, y, tmp_path, monkeypatch):
    run, experiment, client = Fake(tmp_path), Fake(tmp_path), Fake(tmp_path)
    experiment.info = types.SimpleNamespace(run_id="1")
    sacred = Fake(tmp_path)
    callbacks = [
        SacredLogger(sacred),
        WandbLogger(run, save_model=False),
        MlflowLogger(experiment, client, create_artifact=False),
    ]
    classify(callbacks=callbacks).fit(data, y)
    assert [name for name, _ in run.calls] == ["watch", *["log"] * 4]
    assert "train_loss" in run.calls[1][1][0]
    assert any(args[0] == "train_loss" for _, args in sacred.calls)
    assert any("train_loss" in args for _, args in client.calls)


WITHOUT_USE = [
    (Checkpoint(), "valid_loss_best"),
    (EarlyStopping(), "valid_loss"),
    (EarlyStopping, "valid_loss"),
    (EarlyStopping("valid_accuracy"), "valid_accuracy"),
    (LRScheduler("ReduceLROnPlateau", monitor="valid_loss"), "valid_loss"),
    (EpochScoring("accuracy"), "on_train=True"),
    (EpochScoring("accuracy", on_train=True), "there is no y"),
    (EpochScoring(None, on_train=True), "there is no y"),
    (BatchScoring(max, on_train=True), "target_extractor"),
    (PassthroughScoring("valid_loss"), "on_train=True"),
    (InputShapeSetter(), "module"),
    (WandbLogger(None), "save_model=False"),
]


@pytest.mark.parametrize(("callback", "match"), WITHOUT_USE)
def test_what_cannot_work_is_refused(callback, match, data, y, monkeypatch):
    name = getattr(callback, "__name__", type(callback).__name__)
    match = f"callbacks has {name}, which cannot work: .*{match}"
    monkeypatch.setattr("sklearn_cce._base.BaseCollisionEstimator._read", None)
    for model in (cluster(), classify()):
        model.set_params(callbacks=[("given", callback)])
        assert_untouched(model, lambda m=model: m.fit(data, y), ValueError, match)


def test_a_chunk_of_a_stream_has_no_samples_held_out(data, y):
    stop = EarlyStopping("valid_accuracy", lower_is_better=False)
    model = classify(callbacks=[stop], early_stopping=True)

    def call():
        model.partial_fit(data, y, classes=np.unique(y))

    assert_untouched(model, call, ValueError, "'valid_accuracy'")


def test_what_another_callback_records_can_be_watched(data, y):
    class Record(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("valid_loss", 1.0)

    stop = EarlyStopping(patience=1)
    assert classify(callbacks=[Record(), stop]).fit(data, y).n_iter_ == 2
    early = EarlyStopping("valid_accuracy", lower_is_better=False, patience=1)
    model = classify(callbacks=[early], early_stopping=True, max_epochs=30)
    assert model.fit(data, y).n_iter_ < 30


def test_every_callback_of_skorch_was_thought_of():
    known = {type(c).__name__ for c, _ in WITHOUT_USE} | set(vars(skorch_callbacks))
    assert known >= set(skorch_callbacks.__all__)


# Parameters


def test_parameters_of_named_callbacks_can_be_set():
    stop, log = EarlyStopping("train_loss"), Log()
    given = [("stop", stop), log]
    clusterer = cluster(callbacks=given)
    params = clusterer.get_params()
    assert params["callbacks__stop"] is stop
    assert params["callbacks__stop__patience"] == 5
    assert "callbacks__stop" not in clusterer.get_params(deep=False)
    clusterer.set_params(callbacks__stop__patience=9, n_clusters=5)
    assert (stop.patience, clusterer.n_clusters) == (9, 5)
    other = EarlyStopping("train_loss")
    clusterer.set_params(callbacks__stop__patience=3, callbacks__stop=other)
    assert clusterer.callbacks == [("stop", other), log]
    assert (stop.patience, other.patience) == (9, 3)
    assert given == [("stop", stop), log]
    assert "EarlyStopping" in repr(clusterer)
    assert clusterer._repr_html_()


@pytest.mark.parametrize("key", ["callbacks__other", "callbacks__other__patience"])
def test_a_parameter_of_no_callback_is_refused(key):
    clusterer = cluster(callbacks=[("stop", EarlyStopping("train_loss"))])
    for model in (clusterer, cluster()):
        with pytest.raises(ValueError, match=rf"{key} is no parameter.*names \["):
            model.set_params(**{key: 1})


def test_a_search_sets_parameters_of_callbacks(data, y):
    stop = EarlyStopping("train_loss", threshold=9, threshold_mode="abs")
    model = classify(callbacks=[("stop", stop)], max_epochs=9)
    search = GridSearchCV(model, {"callbacks__stop__patience": [1, 3]}, cv=2)
    search.fit(data, y)
    best = search.best_estimator_
    assert best.n_iter_ == search.best_params_["callbacks__stop__patience"] + 1
    assert stop.patience == 5
