"""HSIC from products of features: for many samples of few features, such as positions.

With columns of X (n, p) and Y (n, q) centered, qᵢ = ‖xᵢ‖² and rᵢ = ‖yᵢ‖², the numerator of unbiased
HSIC₁ is ‖XᵀY‖² − n/(n−2) Σ qᵢrᵢ + Σq Σr/((n−1)(n−2)), and that of biased HSIC is ‖XᵀY‖²; see
`analysis.cka.hsic`. One product of all representations' features serves every pair of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from analysis.cka.hsic import HSIC, Formula, corrections, least, need, pair_products
from analysis.stats.arrays import double, full_precision, single
from mtd.utils.distributed import SINGLE_PROCESS, Ranks

Load = Callable[[], Tensor]


@full_precision()
def from_features(
    batches: Sequence[Load],
    widths: Sequence[int],
    *,
    formula: Formula = "unbiased",
    leave_out: bool = False,
    ranks: Ranks = SINGLE_PROCESS,
    device: torch.device | str = "cpu",
) -> HSIC:
    """HSIC of the whole set of samples from sums over features, read batch by batch.

    Every pass reads the batches anew: for the mean, for the sums, and, to leave images out, once
    more. The value is that of all samples together, however they are cut into batches and shared
    out over processes.

    Args:
        batches: each gives (images, samples of an image, features), the N representations beside
            each other.
        widths: features of each representation.
        formula: `unbiased` or `biased`.
        leave_out: compute `HSIC.changes` too, for this process's images.
        ranks: the processes that hold the other batches.
        device: where to compute.

    Raises:
        BadInput: too few samples.
    """
    sums = FeatureSums(list(widths), formula, device)
    size = sum(widths)
    samples = 0
    # twice: what rounding leaves of a large mean is removed as a mean of its own
    for _ in range(2):
        total = torch.zeros(size + 1, dtype=torch.float64)  # features, then samples
        for load in batches:
            z = load()
            total[:-1] += sums.shifted(z).sum((0, 1)).cpu()
            total[-1] += z.shape[:2].numel()
        (total,) = ranks.sum(total)
        samples = int(total[-1])
        need(samples, formula)
        sums.means.append((total[:-1] / samples).to(sums.device))
    sums.start(samples)
    for load in batches:
        sums.add(load())
    sums.all_reduce(ranks)
    changes = [sums.without(load()) for load in batches] if leave_out else []
    return sums.result(changes)


class FeatureSums:
    """The sums behind `from_features`. D features in all, N representations.

    `cross[k]` is X_kᵀ [X_k … X_N], (p_k, features from k on); `q` are squared norms.
    """

    def __init__(self, widths: list[int], formula: Formula, device: torch.device | str) -> None:
        self.widths, self.unbiased = widths, formula == "unbiased"
        self.least = least(formula)
        device = torch.device(device)
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.starts = [sum(widths[:k]) for k in range(len(widths))]
        indices = torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))
        self.owner = indices.to(self.device)
        self.means: list[Tensor] = []

    def start(self, samples: int) -> None:
        """All means are known: begin."""
        count, size = len(self.widths), sum(self.widths)
        self.samples = samples
        self.cross = [
            torch.zeros(width, size - start, dtype=torch.float64, device=self.device)
            for width, start in zip(self.widths, self.starts, strict=True)
        ]
        self.qq = torch.zeros(count, count, dtype=torch.float64, device=self.device)
        self.zq = torch.zeros(size, count, dtype=torch.float64, device=self.device)
        self.q = torch.zeros(count, dtype=torch.float64, device=self.device)

    def shifted(self, z: Tensor) -> Tensor:
        """Features less the means known so far, float64."""
        z = double(z.to(self.device))
        for mean in self.means:
            z = z - mean
        return z

    def _centered(self, z: Tensor) -> Tensor:
        return self.shifted(z).to(single(z).dtype)

    def _norms(self, z: Tensor) -> Tensor:
        """Squared norms over each representation's features, in the last dimension; float64."""
        return torch.stack(
            [part.sum(-1) for part in double(z).square().split(self.widths, dim=-1)], dim=-1
        )

    def _blocks(self, values: Tensor, first: int = 0) -> Tensor:
        """Sums over representations of what the features from `first` on hold: (m, N − first)."""
        owner = self.owner[self.starts[first] :] - first
        total = values.new_zeros(values.shape[0], len(self.widths) - first)
        return total.index_add_(1, owner, values)

    def add(self, z: Tensor) -> None:
        """Add a batch, (images, samples of an image, D)."""
        z = self._centered(z).flatten(0, 1)
        q = self._norms(z)
        for start, width, cross in zip(self.starts, self.widths, self.cross, strict=True):
            cross += double(z[:, start : start + width].mT @ z[:, start:])
        self.qq += q.mT @ q
        self.zq += double(z).mT @ q
        self.q += q.sum(0)

    def all_reduce(self, ranks: Ranks) -> None:
        """Sums over all processes."""
        *self.cross, self.qq, self.zq, self.q = ranks.sum(*self.cross, self.qq, self.zq, self.q)
        self.norms = self._mirror([self._blocks(c.square(), k).sum(0) for k, c in self._rows()])

    def _rows(self) -> list[tuple[int, Tensor]]:
        return list(enumerate(self.cross))

    @staticmethod
    def _mirror(rows: list[Tensor]) -> Tensor:
        """A symmetric (…, N, N) from its rows, each from the diagonal on."""
        count = len(rows)
        whole = rows[0].new_zeros(*rows[0].shape[:-1], count, count)
        for k, row in enumerate(rows):
            whole[..., k, k:] = row
            whole[..., k:, k] = row
        return whole

    def _numerator(self, products: Tensor, diagonal: Tensor, q: Tensor, n: int) -> Tensor:
        if not self.unbiased:
            return products
        return products - diagonal - 2 / (n - 2) * diagonal + outer(q) / ((n - 1) * (n - 2))

    def without(self, z: Tensor) -> Tensor:
        """What leaving out each image of a batch adds to the numerators, (images, N, N)."""
        z = self._centered(z)
        images, cluster, _ = z.shape
        n, count = self.samples - cluster, len(self.widths)
        products = self._numerator(self.norms, self.qq, self.q, self.samples)
        if n < self.least:
            return -products.expand(images, count, count).cpu()
        sums = double(z).sum(1)
        shares, along = self._shares(z), self._along(sums)
        own = self._own(z)
        near = torch.stack(
            [
                (part * s[:, None]).sum(-1)
                for part, s in zip(
                    double(z).split(self.widths, dim=-1),
                    sums.split(self.widths, dim=-1),
                    strict=True,
                )
            ],
            dim=-1,
        )
        q = self._norms(z)
        size = self._blocks(sums.square())
        traces = self.norms - 2 * shares + own
        if self.unbiased:
            traces = traces - self.qq + pair_products(q.mT)
            mixed = torch.stack([self._blocks((s[:, None] * self.zq).mT) for s in sums])
            rows = along + mixed + mixed.mT + self.qq - pair_products((near + q).mT)
            totals = outer(size - self.q + q.sum(1))
        else:
            rows, totals = along - pair_products(near.mT), outer(size)
        left = traces + corrections(rows, totals, n, self.unbiased)
        return (left - products).cpu()

    def _shares(self, z: Tensor) -> Tensor:
        """⟨XᵀY, XᵢᵀYᵢ⟩ of every image i of a batch, (images, N, N)."""
        rows = []
        for k, cross in self._rows():
            start, stop = self.starts[k], self.starts[k] + self.widths[k]
            matrix = cross.to(z.dtype)
            # one image at a time: what is multiplied stays in the cache
            along = [((one[:, start:stop] @ matrix).mul_(one[:, start:])).sum(0) for one in z]
            rows.append(self._blocks(double(torch.stack(along)), k))
        return self._mirror(rows)

    def _along(self, sums: Tensor) -> Tensor:
        """sᵀ XᵀY t, s and t being the two sides' sums over an image, (images, N, N)."""
        rows = []
        for k, cross in self._rows():
            start, stop = self.starts[k], self.starts[k] + self.widths[k]
            rows.append(self._blocks((sums[:, start:stop] @ cross) * sums[:, start:], k))
        return self._mirror(rows)

    def _own(self, z: Tensor) -> Tensor:
        """‖XᵢᵀYᵢ‖² of every image, from the Grams of its own samples, (images, N, N)."""
        grams = torch.stack([part @ part.mT for part in z.split(self.widths, dim=-1)], dim=1)
        return pair_products(double(grams.flatten(2)))

    def result(self, changes: list[Tensor]) -> HSIC:
        """HSIC of all samples."""
        n, count = self.samples, len(self.widths)
        products = self._numerator(self.norms, self.qq, self.q, n)
        weight = n * (n - 3) if self.unbiased else (n - 1) ** 2
        stacked = (
            torch.cat(changes) if changes else torch.zeros(0, count, count, dtype=torch.float64)
        )
        return HSIC(products.cpu(), weight, self.q.cpu(), n, stacked)


def outer(x: Tensor) -> Tensor:
    return x[..., :, None] * x[..., None, :]
