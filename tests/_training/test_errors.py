"""Errors that have a remedy."""

import pytest
import torch
from torch import nn

from tests.helpers import assert_untouched, classify

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Hungry(nn.Linear):
    """A network that asks for more memory than there is, in training only."""

    def forward(self, x):
        if self.training:
            torch.empty(2**46)
        return super().forward(x)


def lacking(*args):
    raise MemoryError("Unable to allocate 5. TiB for an array")


def test_too_little_memory_has_a_remedy(X, y, quick):
    match = "too little memory.*batch_size or module.*X"
    for maker in (quick, classify):
        for params in ({"module": Hungry}, {"module": lacking}, {"views": lacking}):
            estimator = maker(**params)
            fit = lambda estimator=estimator: estimator.fit(X, y)  # noqa: E731
            assert_untouched(estimator, fit, MemoryError, match)
