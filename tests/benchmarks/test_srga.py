"""SRGA's components against scikit-learn's PCA: `python -m pytest FILE -s`.

Both take 300 components of the same 800 x 100,000 float32 array, each in a process of its own, in
turn; memory is the peak above what the process held before.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.paths import ROOT

JOB = """
import json, sys, time
import numpy as np, torch
sys.path.insert(0, {root!r})
torch.set_num_threads(2)
from analysis.stats import gram_pca
features = np.load({path!r})
if {which!r} == "sklearn":
    from sklearn.decomposition import PCA
def peak():  # in KiB, of this process alone: getrusage counts its parent's too
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
open("/proc/self/clear_refs", "w").write("5")
before = peak()
start = time.perf_counter()
if {which!r} == "sklearn":
    scores = PCA(n_components=300, random_state=0).fit_transform(features)
else:
    gram = gram_pca.gram(torch.from_numpy(features))
    scores = gram_pca.scores(gram, 300).numpy()
seconds = time.perf_counter() - start
spread = np.square(scores.astype(float)).sum(0)
print(json.dumps([seconds, (peak() - before) / 1024, spread.tolist()]))
"""


def job(which: str, path: Path) -> tuple[float, float, np.ndarray]:
    code = JOB.format(root=str(ROOT), path=str(path), which=which)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, memory, spread = json.loads(done.stdout)
    return seconds, memory, np.array(spread)


def test_components_against_scikit_learn(tmp_path: Path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(900, 100_000)).astype(np.float32)
    weights = rng.laplace(size=(800, 900)) / np.arange(1, 901) ** 0.5
    features = (weights.astype(np.float32) @ mixing).astype(np.float32)
    path = tmp_path / "features.npy"
    np.save(path, features)
    del mixing
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    exact = np.linalg.eigvalsh(centred @ centred.T)[::-1][:300]
    del centred, features
    runs = {which: [job(which, path) for _ in range(2)] for which in ("sklearn", "ours")}
    seconds = {which: statistics.mean(r[0] for r in found) for which, found in runs.items()}
    memory = {which: statistics.mean(r[1] for r in found) for which, found in runs.items()}
    errors = {which: float(np.abs(found[0][2] / exact - 1).max()) for which, found in runs.items()}
    print(
        f"\n300 components of 800 x 100,000: {seconds['sklearn'] / seconds['ours']:.1f} x faster "
        f"({seconds['ours']:.1f}, {seconds['sklearn']:.1f} s), "
        f"{memory['ours'] / memory['sklearn']:.2f} x the memory "
        f"({memory['ours']:.0f}, {memory['sklearn']:.0f} MB), largest relative error of a "
        f"variance {errors['ours']:.0e}, {errors['sklearn']:.0e}"
    )
    assert seconds["sklearn"] > 4 * seconds["ours"]
    assert memory["ours"] < 0.5 * memory["sklearn"]
    assert errors["ours"] < 1e-9
