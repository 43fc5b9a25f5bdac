"""The figure of the Burgers demo."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._extras import require
from ..physics import Record

__all__ = ["save_figure"]


def save_figure(path: str, t: Any, x: Any, u: Any, exact: Any, records: Sequence[Record]) -> None:
    """The field and its error, three slices in time, and the training, as PNG."""
    require("matplotlib", "demo", "the figure")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 3, height_ratios=[1.0, 1.1, 0.9])

    axes = figure.add_subplot(grid[0, :2])
    image = axes.pcolormesh(t, x, u, cmap="RdBu_r", vmin=-1.0, vmax=1.0, shading="nearest", rasterized=True)
    figure.colorbar(image, ax=axes)
    axes.set(title="u(t, x) by the network", xlabel="t", ylabel="x")

    axes = figure.add_subplot(grid[0, 2])
    difference = np.abs(u - exact)
    image = axes.pcolormesh(t, x, difference, cmap="magma", shading="nearest", rasterized=True)
    figure.colorbar(image, ax=axes)
    axes.set(title="absolute error", xlabel="t")

    for column, moment in enumerate((0.25, 0.5, 0.75)):
        k = int(np.argmin(np.abs(t - moment)))
        axes = figure.add_subplot(grid[1, column])
        axes.plot(x, exact[:, k], "k-", linewidth=2.5, label="exact")
        axes.plot(x, u[:, k], "--", color="tab:red", linewidth=1.5, label="network")
        axes.set(title=f"t = {t[k]:.2f}", xlabel="x", ylim=(-1.1, 1.1))
        if column == 0:
            axes.set_ylabel("u")
            axes.legend(frameon=False)

    axes = figure.add_subplot(grid[2, :])
    iterations = [r.iteration for r in records]
    axes.semilogy(iterations, [r.loss for r in records], label="loss")
    axes.semilogy(iterations, [r.error for r in records], label="relative L2 error")
    axes.set(xlabel="iteration", title="training")
    axes.legend(frameon=False)

    temporary = f"{path}.{os.getpid()}.tmp"
    figure.savefig(temporary, format="png", dpi=120)
    os.replace(temporary, path)
