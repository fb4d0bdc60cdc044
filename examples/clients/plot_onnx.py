"""
Serve clusters from ONNX
========================

A fitted network is written to a file that runs without Python and PyTorch: in other
languages, in a browser or on a phone. The file holds the scaling of the input, too, and
its columns are the clusters as ``labels_`` numbers them.
"""

import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from sklearn.datasets import load_digits

from sklearn_cce import CollisionClusterer

X = load_digits().data.astype(np.float32)
clusterer = CollisionClusterer(10, random_state=0).fit(X)

# %%
# The file
# --------
# ``module_`` returns logits; a softmax behind it makes probabilities of them.
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "digits.onnx"
warnings.filterwarnings("ignore", category=FutureWarning)  # the exporter's own
torch.onnx.export(
    torch.nn.Sequential(clusterer.module_, torch.nn.Softmax(1)).eval(),
    (torch.from_numpy(X[:2]),),
    path,
    input_names=["X"],
    output_names=["probabilities"],
    dynamic_shapes=[{0: torch.export.Dim("n_samples")}],
    dynamo=True,
    verbose=False,
)
print(f"{path.stat().st_size / 1024:.0f} KiB")

# %%
# A server
# --------
# It needs the file and a runtime of ONNX, and neither PyTorch nor this package.
session = onnxruntime.InferenceSession(path)
(probabilities,) = session.run(None, {"X": X})
difference = np.abs(probabilities - clusterer.predict_proba(X)).max()
print(f"largest difference of a probability: {difference:.1e}")
print(f"same clusters: {np.array_equal(probabilities.argmax(1), clusterer.labels_)}")

# %%
# One sample at a time
# --------------------
# Where requests come one by one, it also answers sooner.
for name, predict in (
    ("ONNX", lambda sample: session.run(None, {"X": sample})),
    ("predict_proba", clusterer.predict_proba),
):
    begin = time.perf_counter()
    for sample in X[:200]:
        predict(sample[None])
    print(f"{name}: {(time.perf_counter() - begin) / 200 * 1e3:.2f} ms a sample")
folder.cleanup()
