"""Speed and memory of the training engine, beside bare torch and scikit-learn.

Run ``python -m benchmarks.engine [--device cpu|cuda] [--parts abcde] [--quick]``.
The parts: (a) an epoch against a bare torch loop with the same mathematics, and
against skorch with its default loader; (b) ``predict_proba`` against the bare module;
(c) fit time and resident memory against the number of samples in a memory-mapped file;
(d) fit time against the number of clusters; (e) MNIST beside scikit-learn's clusterers.
All figures are medians over repeats with the range in brackets; what is compared runs
in turn.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from skorch import NeuralNet

from sklearn_cce import CollisionClusterer
from sklearn_cce._training.batches import Samples
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.sources import TensorSource
from sklearn_cce.losses import CollisionCrossEntropyLoss, collision_cross_entropy
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.modules import MLP, VGG4, Linear
from sklearn_cce.pseudo_labels import initial_prices, update_pseudo_labels

LOADS: dict[str, tuple] = {
    "linear 50,000 x 50, batch 512": (Linear, (50,), 50_000, 512, 3),
    "MLP-512 70,000 x 784, batch 1,000": (MLP, (784,), 70_000, 1_000, 1),
    "VGG4 10,000 x 28 x 28, batch 250": (VGG4, (1, 28, 28), 10_000, 250, 1),
}
N_CLUSTERS = 10
# The engine alone: neither a start nor views, which have costs of their own.
PLAIN = {"init": "random", "views": None, "random_state": 0}
SOLVER = {"fairness_weight": 100.0, "method": "em"}


def ratio(first: list[float], second: list[float]) -> str:
    """Return the median and the range of the ratios, pair by pair."""
    ratios = sorted(a / b for a, b in zip(first, second, strict=True))
    return f"{statistics.median(ratios):.3f} [{ratios[0]:.3f}, {ratios[-1]:.3f}]"


def timed(function: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


class BareLoop:
    """The same steps as the engine's, with nothing around them."""

    def __init__(self, module, X, batch_size):
        self.module, self.X = module, X
        self.n_batches = -(-len(X) // batch_size)
        self.generator = torch.Generator().manual_seed(0)
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)
        self.prior = torch.full((N_CLUSTERS,), 1 / N_CLUSTERS, device=X.device)
        self.prices = initial_prices(self.prior, fairness_weight=100.0)

    def run(self, epochs):
        self.module.train()
        for _ in range(epochs):
            order = torch.randperm(len(self.X), generator=self.generator)
            for index in order.to(self.X.device).tensor_split(self.n_batches):
                self.optimizer.zero_grad()
                logits = self.module(self.X[index])
                with torch.no_grad():
                    labels, self.prices = update_pseudo_labels(
                        logits.softmax(1), self.prices, prior=self.prior, **SOLVER
                    )
                collision_cross_entropy(logits, labels).backward()
                self.optimizer.step()


class StockNet(NeuralNet):
    """skorch as it comes, with its default loader and the same loss."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        with torch.no_grad():
            prior = y_pred.new_full((N_CLUSTERS,), 1 / N_CLUSTERS)
            self.prices = getattr(
                self, "prices", initial_prices(prior, fairness_weight=100.0)
            )
            labels, self.prices = update_pseudo_labels(
                y_pred.softmax(1), self.prices, prior=prior, **SOLVER
            )
        return collision_cross_entropy(y_pred, labels)


def make_engine(module, X, batch_size, epochs, device):
    net = CollisionNet(
        lambda: module,
        criterion=CollisionCrossEntropyLoss,
        fairness_weight=100.0,
        prior=np.full(N_CLUSTERS, 1 / N_CLUSTERS),
        pseudo_labels=SOLVER["method"],
        max_epochs=epochs,
        batch_size=batch_size,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        lr=1e-3,
        iterator_train__seed=0,
        device=device,
        verbose=0,
    ).initialize()
    samples = Samples(TensorSource(X))
    return lambda: net.partial_fit(samples)


def make_stock(module, X, batch_size, device):
    net = StockNet(
        lambda: module,
        torch.nn.Identity,
        optimizer=torch.optim.AdamW,
        lr=1e-3,
        max_epochs=1,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        device=device,
        verbose=0,
    ).initialize()
    X = X.cpu().numpy()
    y = np.zeros(len(X), dtype=np.int64)
    return lambda: net.partial_fit(X, y)


def part_a(device: str, quick: bool) -> None:
    print("\n(a) one epoch: seconds, and ratios to the bare loop of the same run")
    repeats = 3 if quick else 7
    for name, (make, shape, n, batch_size, epochs) in LOADS.items():
        if quick and make is VGG4:
            n = 2_000
        if device == "cuda":
            epochs *= 5
        X = torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))
        X = X.to(device)
        in_shape = shape[0] if len(shape) == 1 else shape
        modules = [make(in_shape, N_CLUSTERS).to(device) for _ in range(3)]
        bare = BareLoop(modules[0], X, batch_size)
        engine = make_engine(modules[1], X, batch_size, epochs, device)
        stock = make_stock(modules[2], X, batch_size, device)
        bare.run(1), engine()
        ours, theirs = [], []
        for _ in range(min(repeats, 3) if make is VGG4 else repeats):
            theirs.append(timed(functools.partial(bare.run, epochs), device) / epochs)
            ours.append(timed(engine, device) / epochs)
        default = [timed(stock, device) for _ in range(1 if quick else 3)]
        bare_s = statistics.median(theirs)
        print(
            f"{name}: bare {bare_s:.3f}, engine {statistics.median(ours):.3f}, skorch "
            f"default {min(default):.3f}; engine/bare {ratio(ours, theirs)}, "
            f"default/bare {min(default) / bare_s:.2f}",
            flush=True,
        )


def part_b(device: str, quick: bool) -> None:
    print("\n(b) predict_proba, 1,000,000 x 64, against the bare module")
    X = np.random.default_rng(0).standard_normal((1_000_000, 64), dtype=np.float32)
    for module in ("linear", "mlp"):
        clusterer = CollisionClusterer(
            N_CLUSTERS, module=module, max_epochs=1, **PLAIN, device=device
        ).fit(X[:20_000])
        tensor = torch.from_numpy(X).to(device)

        def bare(clusterer=clusterer, tensor=tensor):
            with torch.inference_mode():
                parts = [
                    clusterer.module_(part).softmax(1) for part in tensor.split(2_048)
                ]
                return torch.cat(parts).cpu().numpy()

        data = tensor if device == "cuda" else X
        bare(), clusterer.predict_proba(data)
        pairs = [
            (
                timed(functools.partial(clusterer.predict_proba, data), device),
                timed(bare, device),
            )
            for _ in range(3 if quick else 9)
        ]
        ours, theirs = map(list, zip(*pairs, strict=True))
        print(
            f"{module}: bare {statistics.median(theirs):.3f} s, predict_proba "
            f"{statistics.median(ours):.3f} s, ratio {ratio(ours, theirs)}",
            flush=True,
        )


def fit_file(path: str, n: int, device: str) -> None:
    """Fit a memory-mapped file for one epoch and print the figures."""
    X = np.memmap(path, np.float32, "r", shape=(n, 64))
    clusterer = CollisionClusterer(
        N_CLUSTERS, module="linear", max_epochs=1, **PLAIN, device=device
    )
    clusterer.fit(np.array(X[:5_000]))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = psutil.Process().memory_info().rss
    seconds = timed(lambda: clusterer.fit(X), device)
    peak = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    print(clusterer.history_[-1]["dur"], seconds, (peak - before) / 2**20)


def part_c(device: str, quick: bool) -> None:
    print("\n(c) one epoch of a memory-mapped file of n x 64, linear, batch 1,024")
    sizes = [10_000, 100_000, 1_000_000] + ([] if quick else [10_000_000])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "X.bin")
        rng = np.random.default_rng(0)
        with open(path, "wb") as file:
            for _ in range(max(sizes) // 10_000):
                rng.standard_normal((10_000, 64), dtype=np.float32).tofile(file)
        for n in sizes:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.engine"]
            command += ["--device", device, "--file", path, str(n)]
            runs = [
                [float(v) for v in subprocess.check_output(command).split()]
                for _ in range(3)
            ]
            epoch, fit, peak = (statistics.median(v) for v in zip(*runs, strict=True))
            print(
                f"n = {n:>10,}: epoch {epoch:.3f} s ({epoch / n * 1e6:.3f} us a sample,"
                f" range {min(r[0] for r in runs):.3f} to {max(r[0] for r in runs):.3f}"
                f" s), fit {fit:.3f} s, resident peak {peak:.0f} MiB above the start",
                flush=True,
            )


def part_d(device: str, quick: bool) -> None:
    print("\n(d) one epoch of 20,000 x 64, MLP-512, against the number of clusters")
    X = np.random.default_rng(0).standard_normal((20_000, 64), dtype=np.float32)
    for n_clusters in (2, 10, 100, 1_000):
        clusterer = CollisionClusterer(
            n_clusters, max_epochs=3 if quick else 10, **PLAIN, device=device
        ).fit(X)
        seconds = clusterer.history_[1:, "dur"]
        print(
            f"K = {n_clusters:>5}: {statistics.median(seconds):.3f} s "
            f"[{min(seconds):.3f}, {max(seconds):.3f}]",
            flush=True,
        )


def part_e(device: str, quick: bool, data_dir: str | None) -> None:
    print("\n(e) MNIST, 784 pixels, K = 10, seed 0")
    file = Path(data_dir or os.environ.get("SKLEARN_CCE_DATA", "")) / "mnist.npz"
    if not file.is_file():
        print(f"left out: there is no {file}; give --data-dir or SKLEARN_CCE_DATA")
        return
    with np.load(file) as data:
        X = (
            data["X_test"]
            if quick
            else np.concatenate([data["X_train"], data["X_test"]])
        )
        y = (
            data["y_test"]
            if quick
            else np.concatenate([data["y_train"], data["y_test"]])
        )
    X = X.reshape(len(X), -1).astype(np.float32) / 255
    methods = {
        "CollisionClusterer": CollisionClusterer(10, device=device, random_state=0),
        "CollisionClusterer linear": CollisionClusterer(
            10, module="linear", device=device, random_state=0
        ),
        "KMeans(n_init=10)": KMeans(10, n_init=10, random_state=0),
        "MiniBatchKMeans": MiniBatchKMeans(10, random_state=0),
        "GaussianMixture (diag)": GaussianMixture(
            10, covariance_type="diag", reg_covar=1e-3, random_state=0
        ),
    }
    for name, method in methods.items():
        start = time.perf_counter()
        labels = method.fit_predict(X)
        print(
            f"{name}: {time.perf_counter() - start:.1f} s, accuracy "
            f"{clustering_accuracy(y, labels):.3f}, NMI "
            f"{normalized_mutual_info_score(y, labels):.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--parts", default="abcde")
    parser.add_argument("--quick", action="store_true", help="smaller, about 2 minutes")
    parser.add_argument("--data-dir")
    parser.add_argument("--file", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if args.file:
        fit_file(args.file[0], int(args.file[1]), args.device)
        return
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, device "
        f"{torch.cuda.get_device_name() if args.device == 'cuda' else 'cpu'}"
    )
    parts = {"a": part_a, "b": part_b, "c": part_c, "d": part_d}
    for letter in args.parts:
        if letter == "e":
            part_e(args.device, args.quick, args.data_dir)
        else:
            parts[letter](args.device, args.quick)


if __name__ == "__main__":
    main()
