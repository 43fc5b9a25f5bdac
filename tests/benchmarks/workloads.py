"""What is timed, in which forms by which library, and what is to be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from . import data

LIBRARIES = ("hesse", "jax", "torch", "deepxde")
PEERS = LIBRARIES[1:]
NAMES = {"hesse": "Hesse", "jax": "JAX", "torch": "PyTorch", "deepxde": "DeepXDE"}


@dataclass(frozen=True)
class Goal:
    """So many times faster than the best peer, or below so many seconds."""

    ratio: float | None = None
    below: float | None = None

    def text(self) -> str:
        if self.ratio is not None:
            return f"{self.ratio:g}x"
        assert self.below is not None
        return f"< {self.below * 1e3:g} ms" if self.below >= 1e-3 else f"< {self.below * 1e6:g} us"

    def reached(self, seconds: float, ratio: float | None) -> bool | None:
        """None where no peer ran."""
        if self.below is not None:
            return seconds < self.below
        return None if ratio is None or self.ratio is None else ratio >= self.ratio


@dataclass(frozen=True)
class Workload:
    """Forms are ways of writing the same work: the first of a library is its main one (all that --quick runs)."""

    name: str
    title: str
    forms: dict[str, tuple[str, ...]]
    goals: dict[tuple[str, int], Goal] = field(default_factory=dict)  # by dtype and threads
    flops: Callable[[], float] | None = None
    trains: bool = False  # whether the loss changes from step to step
    dtypes: tuple[str, ...] = ("float32", "float64")
    agreement: float | None = None  # of losses, relative: where methods differ, in place of TOLERANCE
    most_error: float | None = None  # of the case's own error: a goal is only reached within
    moved: Callable[[], float] | None = None  # bytes in float32, where memory sets the pace

    def goal(self, dtype: str, threads: int) -> Goal | None:
        return self.goals.get((dtype, threads))

    def tolerance(self, dtype: str) -> float:
        return TOLERANCE[dtype] if self.agreement is None else self.agreement

    def tolerance_later(self, dtype: str) -> float:
        return TOLERANCE_LATER[dtype] if self.agreement is None else self.agreement


# ---- operations: 2 for a multiply-add, 15 for a tanh ---------------------------------------------------------------
FORMULAS = {
    "w1": "N (18 P + 30 H) + 100 * 6 P: three streams (u, u_x, u_t - nu u_xx) through P weights, forward, back and for "
    "the weights' gradient; 30 elementwise operations on each of H hidden neurons",
    "w8": "25 tasks * 10 shots * P (18 I + 6): a gradient is three products with P weights, 6 P; its derivative twice "
    "that; I inner steps",
    "w6": "2 * edges * width for each of the sum, its transpose and the dot products of edges; memory is the limit: "
    "forward 4,000,000 * (256 + 8) + 200,000 * 256 bytes where no gathered row is in cache",
    "w9": "64 * (6 M - 2 M_1): three products of M multiply-adds each, without the gradient of the images",
    "w12": "33 * 8 * (2 + 15 + 5): forward, and the product with 1 - tanh^2 and the scale back",
}


def weights_of(sizes: list[int]) -> int:
    return sum(m * n for m, n in pairwise(sizes))


def pinn_flops(name: str) -> float:
    sizes = data.PINN_SIZES[name]
    p = weights_of(sizes)
    return data.PINN_POINTS[name] * (18.0 * p + 30.0 * sum(sizes[1:-1])) + 100 * 6.0 * p


def maml_flops(inner: int) -> float:
    return data.TASKS * data.SHOTS * weights_of(data.MAML_SIZES) * (18.0 * inner + 6.0)


def lenet_flops() -> float:
    first = 24 * 24 * 20 * 25
    total = first + 8 * 8 * 50 * 500 + 800 * 500 + 500 * 10
    return data.LENET_BATCH * (6.0 * total - 2.0 * first)


def graph_flops(products: int) -> float:
    return products * 2.0 * data.GRAPH_EDGES * data.GRAPH_WIDTH


def graph_bytes(passes: int) -> float:
    """A value, an index and a gathered row for every edge, a row of the result for every node; the pass back reads
    positions of values and rows of x too, and writes a gradient for every edge. Nothing stays in a cache."""
    row = 4.0 * data.GRAPH_WIDTH
    edges, nodes = float(data.GRAPH_EDGES), data.GRAPH_EDGES / data.GRAPH_DEGREE
    forward, back = edges * (8 + row) + nodes * row, edges * (16 + row) + 2 * nodes * row
    return forward if passes == 1 else forward + back


def chain_flops() -> float:
    return data.CHAIN_LENGTH * 8 * 22.0


# ---- the list ------------------------------------------------------------------------------------------------------
BOTH = ("float32", "float64")


def ratios(
    ratio: float, dtypes: tuple[str, ...] = BOTH, threads: tuple[int, ...] = (1, 2)
) -> dict[tuple[str, int], Goal]:
    return {(dtype, n): Goal(ratio=ratio) for dtype in dtypes for n in threads}


def bounds(seconds: float) -> dict[tuple[str, int], Goal]:
    return {(dtype, 1): Goal(below=seconds) for dtype in BOTH}


PINN_FORMS = {
    "hesse": ("vmap", "batched"),
    "jax": ("jvp", "jet"),
    "torch": ("eager", "func"),
    "deepxde": ("adam",),
}
# With diffrax's default root finder the gradients of Robertson's problem take twelve to twenty-five times as long.
DIFFRAX_FORMS = ("Kvaerno5, Newton",)
ROBERTSON_FORMS = ("Rodas5P", "Rodas5P, forward")
MAML_FORMS = {"hesse": ("one program", "Adam outside"), "jax": ("vmap",), "torch": ("func", "loop")}

WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            "w1",
            "Burgers PINN 2-20x8-1, 10,000 points, Adam step",
            PINN_FORMS,
            ratios(4.5),
            lambda: pinn_flops("w1"),
            True,
        ),
        Workload(
            "w2",
            "Burgers PINN 2-128x4-1, 20,000 points, Adam step",
            PINN_FORMS,
            ratios(2.3, ("float32",)),
            lambda: pinn_flops("w2"),
            True,
        ),
        Workload(
            "w8_1",
            "second-order MAML 1-40-40-1, 25 tasks, 1 inner step, Adam step",
            MAML_FORMS,
            ratios(1.5),
            lambda: maml_flops(1),
            True,
        ),
        Workload(
            "w8_5",
            "second-order MAML 1-40-40-1, 25 tasks, 5 inner steps, Adam step",
            MAML_FORMS,
            ratios(1.15),
            lambda: maml_flops(5),
            True,
        ),
        Workload(
            "w9",
            "LeNet, 64 images, SGD step with momentum",
            {"hesse": ("compiled",), "jax": ("jit",), "torch": ("eager",)},
            {},
            lenet_flops,
            True,
        ),
        Workload(
            "w3_short",
            "neural ODE, spiral: gradient step, 10 times to 0.23",
            {"hesse": ("Dopri5",), "jax": ("Dopri5",)},
            {("float64", 1): Goal(ratio=4.0)},
            dtypes=("float64",),
            agreement=1e-6,
        ),
        Workload(
            "w3_long",
            "neural ODE, spiral: gradient step, 10 times to 5",
            {"hesse": ("Dopri5",), "jax": ("Dopri5",)},
            {("float64", 1): Goal(ratio=5.0)},
            dtypes=("float64",),
            agreement=1e-6,
        ),
        Workload(
            "w4",
            "Robertson's problem: gradient of 3 rate constants",
            {"hesse": ROBERTSON_FORMS, "jax": DIFFRAX_FORMS},
            {("float64", 1): Goal(ratio=12.0)},
            dtypes=("float64",),
            agreement=1e-5,
            most_error=2e-5,
        ),
        Workload(
            "w4_batched",
            "Robertson's problem: gradients of 1,000 sets of 3 rate constants",
            {"hesse": ROBERTSON_FORMS, "jax": DIFFRAX_FORMS},
            {("float64", 1): Goal(ratio=30.0), ("float64", 2): Goal(ratio=50.0)},
            dtypes=("float64",),
            agreement=1e-5,
        ),
        Workload(
            "w5",
            "GCN 1433-16-7 on 2,708 nodes and 10,556 edges, Adam epoch",
            dict.fromkeys(("hesse", "jax", "torch"), ("dense features",)),
            ratios(1.5, ("float32",)),
            None,
            True,
            dtypes=("float32",),
        ),
        Workload(
            "w5_sparse",
            "the same, features in compressed rows (1.3 % of them are not zero)",
            dict.fromkeys(("hesse", "jax", "torch"), ("sparse features",)),
            ratios(4.0, ("float32",)),
            None,
            True,
            dtypes=("float32",),
        ),
        Workload(
            "w6_forward",
            "weighted neighbour sum: 200,000 nodes, 4,000,000 edges, width 64",
            {"hesse": ("csr",), "jax": ("segment_sum",), "torch": ("csr",)},
            ratios(2.5, ("float32",)),
            lambda: graph_flops(1),
            moved=lambda: graph_bytes(1),
            dtypes=("float32",),
        ),
        Workload(
            "w6_both",
            "the same with the gradients of features and edge weights",
            {"hesse": ("csr",), "jax": ("segment_sum",), "torch": ("by hand",)},
            {("float32", 1): Goal(ratio=5.0), ("float32", 2): Goal(ratio=3.5)},
            lambda: graph_flops(3),
            moved=lambda: graph_bytes(2),
            dtypes=("float32",),
        ),
        Workload(
            "w7",
            "SchNet on 64 molecules of 20 atoms, loss on energies and forces, Adam step",
            {"hesse": ("default", "tiles"), "jax": ("segment_sum",), "torch": ("index_add",)},
            ratios(2.0, ("float32",)),
            None,
            True,
            dtypes=("float32",),
        ),
        Workload(
            "w7_pairs",
            "the same energies and forces by one filter per pair of atoms (peers: per directed edge)",
            {"hesse": ("default", "tiles"), "jax": ("segment_sum",), "torch": ("index_add",)},
            ratios(3.0, ("float32",)),
            None,
            True,
            dtypes=("float32",),
        ),
        Workload(
            "w12",
            "99 operations on 8 numbers, forward and backward, compiled",
            {"hesse": ("compiled",), "jax": ("jit",), "torch": ("compile",)},
            ratios(5.0, threads=(1,)),
            chain_flops,
        ),
        Workload(
            "w12_eager",
            "99 operations on 8 numbers, forward and backward, eager",
            {"hesse": ("eager",), "torch": ("eager",), "jax": ("eager",)},
            ratios(1.5, threads=(1,)),
            chain_flops,
        ),
        Workload(
            "call20",
            "compiled call: the sum of 20 arrays of 8 numbers",
            {"hesse": ("compiled",), "jax": ("jit",), "torch": ("compile",)},
            bounds(5e-6),
        ),
        Workload(
            "eager_op",
            "one eager addition of 8 numbers",
            {"hesse": ("eager",), "jax": ("eager",), "torch": ("eager",)},
            bounds(1e-6),
        ),
    )
}

# What --workloads accepts beside their names.
GROUPS = {
    "w3": ("w3_short", "w3_long"),
    "w6": ("w6_forward", "w6_both"),
    "gnn": ("w5", "w5_sparse", "w6_forward", "w6_both", "w7", "w7_pairs"),
    "w8": ("w8_1", "w8_5"),
    "w12": ("w12", "w12_eager"),
    "solvers": ("w3_short", "w3_long", "w4", "w4_batched"),
}
MEASURES = ("import", "memory", "prepare", "maps", "demo")
DEFAULT = ("w1", "w2", "w8", "w12", "call20", "eager_op", "import", "memory", "prepare", "maps")

# torch.compile takes half a minute to prepare: --quick leaves it out.
SLOW_FORMS = {("torch", "compile")}

TOLERANCE = {"float32": 1e-5, "float64": 1e-9}  # of the loss at step 0, relative
TOLERANCE_LATER = {"float32": 2e-3, "float64": 1e-6}  # and after the steps of warming up


def expand(names: list[str]) -> list[str]:
    """Workloads and measures by their full names, each once."""
    found: list[str] = []
    for name in names:
        found += [n for n in GROUPS.get(name, (name,)) if n not in found]
    return found


def forms(workload: Workload, library: str, quick: bool) -> tuple[str, ...]:
    """The forms of a library to run."""
    all_forms = workload.forms.get(library, ())
    if not quick:
        return all_forms
    return tuple(f for f in all_forms[: 2 if library == "hesse" else 1] if (library, f) not in SLOW_FORMS)
