"""Trials of optuna that are pruned while they are trained."""

import pytest

from tests.helpers import assert_untouched, classify

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def optuna():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@pytest.fixture(scope="module")
def pruning():
    return pytest.importorskip("optuna_integration").SkorchPruningCallback


def test_a_trial_is_pruned_and_leaves_the_estimator_as_it_was(X, y, optuna, pruning):
    before = classify().fit(X, y)

    def objective(trial):
        model = before.set_params(callbacks=[pruning(trial, "train_loss")])
        assert_untouched(
            model, lambda: model.fit(X, y), optuna.TrialPruned, "at epoch 1"
        )
        return model.set_params(max_epochs=3).fit(X, y).score(X, y)

    pruner = optuna.pruners.ThresholdPruner(upper=-1.0, n_warmup_steps=1)
    study = optuna.create_study(pruner=pruner)
    study.optimize(objective, n_trials=2)
    states = [trial.state for trial in study.trials]
    assert states == [optuna.trial.TrialState.PRUNED] * 2
    assert all(len(trial.intermediate_values) == 2 for trial in study.trials)


def test_a_study_drops_what_falls_behind_and_finds_the_best(X, y, optuna, pruning):
    def objective(trial):
        model = classify(
            lr=trial.suggest_categorical("lr", [0.1, 1e-6]),
            callbacks=[pruning(trial, "train_loss")],
            max_epochs=6,
        )
        return model.fit(X, y).history_[-1, "train_loss"]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    study = optuna.create_study(pruner=pruner)
    for lr in (0.1, 1e-6):
        study.enqueue_trial({"lr": lr})
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert first.state == optuna.trial.TrialState.COMPLETE
    assert second.state == optuna.trial.TrialState.PRUNED
    assert second.params == {"lr": 1e-6} and study.best_params == {"lr": 0.1}
    assert len(first.intermediate_values) == 6 > len(second.intermediate_values)
