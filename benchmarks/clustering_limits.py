"""What the features allow: neighbours' classes, classifiers, information.

Run ``python -m benchmarks.clustering_limits [--data-dir DIR]``. For every data set

* how many of the 10 nearest neighbours (of `CollisionClusterer`'s graph) have the class
  of the sample, on average;
* the accuracy of logistic regression on the 100 principal components (three folds), and
  of the vote of the 10 neighbours, both with all other labels known;
* the information between neighbours, in nats, of the classes and of the best of the
  spectral clusterings that the clusterer starts from: where the latter have more, a
  better search for information would not lead to the classes.
"""

from __future__ import annotations

import argparse

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from benchmarks.data import add_data_dir, available, load
from sklearn_cce._clusterer import N_SPECTRAL
from sklearn_cce._graph.candidates import find_candidates
from sklearn_cce._graph.geometry import Geometry
from sklearn_cce._graph.information import Balance, information, pair_shares
from sklearn_cce._training.batches import Samples
from sklearn_cce._training.sources import TensorSource
from sklearn_cce.metrics import clustering_accuracy

DATA = ["digits", "mnist_test", "stackoverflow", "cifar10"]


def probe(Z: np.ndarray, y: np.ndarray) -> float:
    """Accuracy of logistic regression on other folds."""
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = LogisticRegression(C=0.1, max_iter=300)
    return float(cross_val_score(model, Z, y, cv=folds).mean())


def vote(neighbors: np.ndarray, y: np.ndarray) -> float:
    """Accuracy of the most frequent class among the neighbours."""
    counts = np.stack([(y[neighbors] == k).sum(1) for k in range(y.max() + 1)])
    return float(np.mean(counts.argmax(0) == y))


def limits(name: str, args: argparse.Namespace) -> dict[str, float]:
    """Return all measures of one data set."""
    X, y = load(name, args.data_dir)
    X, K = np.asarray(X, np.float32), int(y.max()) + 1
    geometry = Geometry(Samples(TensorSource(torch.from_numpy(X))), [], K)
    Z, graph = geometry.embedding.numpy(), geometry.main_graph()
    neighbors = graph.indices.reshape(len(X), -1)
    affinity = sp.csr_matrix(graph + graph.T)
    rng = np.random.default_rng(args.seed)
    balance, weight = Balance(1.0, np.full(K, 1 / K)), np.ones(len(X))
    found = find_candidates(Z, affinity, balance, weight, N_SPECTRAL, rng).labels
    known = [information(pair_shares(affinity, h, K)) for h in found]
    return {
        "neighbours of the class": float(np.mean(y[neighbors] == y[:, None])),
        "logistic regression": probe(Z, y),
        "vote of neighbours": vote(neighbors, y),
        "information of classes": information(pair_shares(affinity, y, K)),
        "information of clusters": max(known),
        "their accuracy": clustering_accuracy(y, found[int(np.argmax(known))]),
    }


def main() -> None:
    """Print a line for every data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_dir(parser)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in DATA:
        if name in available(args.data_dir):
            measures = limits(name, args).items()
            text = ", ".join(f"{key} {value:.3f}" for key, value in measures)
            print(f"{name}: {text}", flush=True)


if __name__ == "__main__":
    main()
