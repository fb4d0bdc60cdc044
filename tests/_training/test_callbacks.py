"""Callbacks: those of skorch, and the bar."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping, LRScheduler

from tests.helpers import cluster


def test_callbacks_of_skorch_work(data):
    scheduler = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    clusterer = cluster(callbacks=[("schedule", scheduler)], lr=0.1, init="random").fit(
        data
    )
    assert clusterer.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-4)
    stop = EarlyStopping("train_loss", patience=2, threshold=10, threshold_mode="abs")
    assert cluster(callbacks=[stop], max_epochs=50).fit(data).n_iter_ < 10


def test_verbose_shows_a_bar_a_training_with_the_figures(data, capsys):
    cluster(verbose=1).fit(np.random.default_rng(0).normal(size=data.shape))
    shown = capsys.readouterr()
    assert shown.out == ""
    for word in ("1/1", "2/2", "loss=", "balance=", "changed="):
        assert word in shown.err
