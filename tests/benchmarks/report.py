"""Ratios of medians, the table in Markdown, the results in JSON, and a plot."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import workloads
from .driver import Timing
from .workloads import NAMES, PEERS, Workload

# Below this share of the cores others are working on them.
QUIET = 0.9


@dataclass
class Peer:
    """The best form of a peer, with whichever allocator was better."""

    label: str
    median_s: float
    min_s: float
    cpu_s: float


@dataclass
class Row:
    """A form of Hesse beside its peers. Hesse runs with the allocator that its users have, the default one."""

    workload: str
    title: str
    form: str
    dtype: str
    threads: int
    isa: str
    median_s: float
    min_s: float
    cpu_s: float
    first_s: float
    memory_mb: float | None
    peers: dict[str, Peer]
    missing: dict[str, str]
    goal: str | None
    reached: bool | None
    ideal_s: float | None
    moved_bytes: float | None = None
    bandwidth_gbs: float | None = None  # of memory, measured
    available: float = 1.0
    timings: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def moved_text(self) -> str:
        """Bytes moved, their rate, and its share of what memory gives; above 100 % where a cache helps."""
        if self.moved_bytes is None:
            return "-"
        rate = 1e-9 * self.moved_bytes / self.median_s
        share = f", {100 * rate / self.bandwidth_gbs:.3g} %" if self.bandwidth_gbs else ""
        return f"{1e-9 * self.moved_bytes:.3g} GB, {rate:.3g} GB/s{share}"

    def disturbed(self) -> bool:
        return self.available < QUIET

    def ratio(self, peer: str) -> float | None:
        return self.peers[peer].median_s / self.median_s if peer in self.peers else None

    def best(self) -> Peer | None:
        return min(self.peers.values(), key=lambda p: p.median_s, default=None)

    def best_ratio(self) -> float | None:
        best = self.best()
        return None if best is None else best.median_s / self.median_s

    def best_ratio_of_minima(self) -> float | None:
        least = min((p.min_s for p in self.peers.values()), default=None)
        return None if least is None else least / self.min_s

    def best_ratio_of_cpu(self) -> float | None:
        """Of the processors' time, which says more than the clock where others use the machine."""
        least = min((p.cpu_s for p in self.peers.values()), default=None)
        return None if least is None else least / self.cpu_s


def best_of(timings: list[Timing]) -> Timing | None:
    return min((t for t in timings if t.times), key=lambda t: statistics.median(t.times), default=None)


def rows(
    workload: Workload,
    dtype: str,
    threads: int,
    isa: str,
    timings: list[Timing],
    missing: dict[str, str],
    peak_gflops: float | None,
    available: float = 1.0,
    bandwidth_gbs: float | None = None,
) -> list[Row]:
    """A row per form of Hesse; `missing` says why a library has no timing, `available` what share of the cores was free."""
    missing = dict(missing)
    peers = {}
    for library in PEERS:
        of_library = [t for t in timings if t.library == library]
        best = best_of(of_library)
        if best is not None:
            peers[library] = Peer(
                best.label, statistics.median(best.times), min(best.times), statistics.median(best.cpu_s)
            )
        elif of_library:
            missing[library] = f"failed: {of_library[0].failure}"
    ideal = None
    if workload.flops is not None and peak_gflops:
        ideal = workload.flops() / (peak_gflops * 1e9)
    goal = workload.goal(dtype, threads)
    found = []
    for timing in timings:
        if timing.library != "hesse" or timing.allocator != "default" or not timing.times:
            continue
        row = Row(
            workload=workload.name,
            title=workload.title,
            form=timing.form,
            dtype=dtype,
            threads=threads,
            isa=isa,
            median_s=statistics.median(timing.times),
            min_s=min(timing.times),
            cpu_s=statistics.median(timing.cpu_s),
            first_s=timing.first_s,
            memory_mb=timing.memory_mb,
            peers=peers,
            missing=missing,
            goal=goal.text() if goal else None,
            reached=None,
            ideal_s=ideal,
            moved_bytes=workload.moved() if workload.moved is not None else None,
            bandwidth_gbs=bandwidth_gbs,
            available=available,
            timings=[summary(t) for t in timings],
        )
        # Libraries suffer differently from company on their cores: no verdict then.
        if goal and not row.disturbed():
            row.reached = goal.reached(row.median_s, row.best_ratio())
            if row.reached and workload.most_error is not None:
                row.reached = timing.error is not None and timing.error <= workload.most_error
        found.append(row)
    return found


def summary(timing: Timing) -> dict[str, Any]:
    """A timing for the JSON file, its samples as quartiles."""
    result: dict[str, Any] = {"label": timing.label, "library": timing.library, "form": timing.form}
    result |= {"allocator": timing.allocator, "failure": timing.failure}
    if timing.times:
        quartiles = statistics.quantiles(timing.times, n=4) if len(timing.times) > 1 else timing.times * 3
        result |= {
            "median_s": statistics.median(timing.times),
            "min_s": min(timing.times),
            "quartiles_s": [quartiles[0], quartiles[2]],
            "samples": len(timing.times),
            "first_s": timing.first_s,
            "loss": timing.loss,
            "loss_later": timing.loss_later,
            "cpu_s": statistics.median(timing.cpu_s),
            "cpu_per_wall": statistics.median(timing.cpu_per_wall),
            "memory_mb": timing.memory_mb,
            "error": timing.error,
        }
    return result


# ---- measures that are no repeated steps ---------------------------------------------------------------------------
@dataclass
class Line:
    """One quantity for all libraries: numbers in a unit, or words where there is none."""

    measure: str
    case: str
    unit: str  # "s" or "MB"
    values: dict[str, float | str]
    goal: str | None = None
    reached: bool | None = None


# ---- text ----------------------------------------------------------------------------------------------------------
def time_text(seconds: float | None) -> str:
    """Three digits and a unit."""
    if seconds is None:
        return "-"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1.0:
            return (
                f"{seconds * factor:.3g} {unit}"
                if seconds * factor < 1000
                else f"{seconds * factor:.0f} {unit}"
            )
    return f"{seconds * 1e9:.3g} ns"


def ratio_text(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x" if ratio < 100 else f"{ratio:.0f}x"


def memory_text(mb: float | None) -> str:
    return "-" if mb is None else f"{mb:.1f} MB"


def verdict(goal: str | None, reached: bool | None) -> str:
    if goal is None:
        return "-"
    return f"{goal} ({'?' if reached is None else 'yes' if reached else 'NO'})"


def markdown_table(header: list[str], body: list[list[str]]) -> str:
    assert all(len(cells) == len(header) for cells in body)
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in body])


def peer_text(row: Row, peer: str) -> str:
    ratio = row.ratio(peer)
    if ratio is not None:
        return ratio_text(ratio)
    return row.missing.get(peer, "-").split(":")[0]


def summary_table(found: list[Row]) -> str:
    """The better form of Hesse beside the best peer: what the README shows."""
    best: dict[tuple[str, str, int, str], Row] = {}
    for row in found:
        where = (row.title, row.dtype, row.threads, row.isa)
        if where not in best or row.median_s < best[where].median_s:
            best[where] = row
    body = []
    for (title, dtype, threads, isa), row in best.items():
        peer, ratio = row.best(), ratio_text(row.best_ratio())
        cells = [title, dtype, str(threads), isa, time_text(row.median_s)]
        cells += [f"{time_text(peer.median_s)}, {peer.label}" if peer else "-", ratio]
        body.append([*cells, verdict(row.goal, row.reached)])
    return markdown_table(
        ["workload", "dtype", "threads", "ISA", "Hesse", "best peer", "times faster", "goal"], body
    )


def timings_table(found: list[Row], peers: list[str]) -> str:
    header = ["workload", "form", "dtype", "threads", "ISA", "Hesse (least)"]
    header += [f"{NAMES[p]} / Hesse" for p in peers]
    header += ["best peer / Hesse (least; CPU)", "goal", "ideal", "of ideal", "moved"]
    header += ["first call", "memory", "cores free"]
    body = []
    for row in found:
        cells = [row.workload, row.form, row.dtype, str(row.threads), row.isa]
        cells.append(f"{time_text(row.median_s)} ({time_text(row.min_s)})")
        cells += [peer_text(row, p) for p in peers]
        others = f"{ratio_text(row.best_ratio_of_minima())}; {ratio_text(row.best_ratio_of_cpu())}"
        cells.append(f"{ratio_text(row.best_ratio())} ({others})" if row.peers else "-")
        cells.append(verdict(row.goal, row.reached))
        cells.append(time_text(row.ideal_s))
        cells.append("-" if row.ideal_s is None else f"{100 * row.ideal_s / row.median_s:.3g} %")
        cells += [row.moved_text(), time_text(row.first_s), memory_text(row.memory_mb)]
        cells.append(f"{100 * row.available:.0f} %")
        body.append(cells)
    return markdown_table(header, body)


def peers_table(found: list[Row]) -> str:
    """All forms and allocators of all libraries."""
    header = ["workload", "dtype", "threads", "ISA", "library"]
    header += ["median", "least", "first call", "memory", "CPU / wall", "error"]
    body, seen = [], set()
    for row in found:
        where = (row.workload, row.dtype, row.threads, row.isa)
        if where in seen:
            continue
        seen.add(where)
        for t in row.timings:
            cells = [row.workload, row.dtype, str(row.threads), row.isa, t["label"]]
            if t.get("median_s") is None:
                body.append([*cells, t["failure"] or "not run", "", "", "", "", ""])
                continue
            cells += [time_text(t["median_s"]), time_text(t["min_s"]), time_text(t["first_s"])]
            cells += [memory_text(t["memory_mb"]), f"{t['cpu_per_wall']:.2f}"]
            cells.append("-" if t["error"] is None else f"{t['error']:.1e}")
            body.append(cells)
    return markdown_table(header, body)


def lines_table(lines: list[Line], peers: list[str]) -> str:
    libraries = ["hesse", *peers]
    body = []
    for line in lines:
        cells = [line.measure, line.case]
        for library in libraries:
            value = line.values.get(library, "-")
            text = time_text if line.unit == "s" else memory_text
            cells.append(value if isinstance(value, str) else text(value))
        body.append([*cells, verdict(line.goal, line.reached)])
    return markdown_table(["measure", "case", *(NAMES[name] for name in libraries), "goal"], body)


def roofline_text(roofline: dict[str, Any]) -> str:
    parts = []
    for name, words, unit in (
        ("float32_gflops", "float32 peak", "GFLOP/s"),
        ("float64_gflops", "float64 peak", "GFLOP/s"),
        ("float32_gemm_gflops", "NumPy GEMM float32", "GFLOP/s"),
        ("float64_gemm_gflops", "float64", "GFLOP/s"),
        ("triad_cache_gbs", "triad in cache", "GB/s"),
        ("triad_memory_gbs", "from memory", "GB/s"),
    ):
        if name in roofline:
            parts.append(f"{words} {roofline[name]:.3g} {unit}")
    return f"{roofline['threads']} thread(s), {roofline['isa']}: " + ", ".join(parts)


def document(results: dict[str, Any], found: list[Row], lines: list[Line], peers: list[str]) -> str:
    """Everything that ./run bench prints."""
    machine = results["machine"]
    installed = ", ".join(f"{k} {v}" for k, v in machine["peers"].items() if k != "python") or "not installed"
    text = [
        f"{machine['processor']}, {machine['cores']} cores, pinned to {machine['pinned_to']}; load before: "
        f"{machine['load_before'][0]:g}. Hesse {results['versions'].get('hesse', '?')}; peers: {installed}.",
    ]
    text += [f"Roofline, {roofline_text(r)}." for r in results["rooflines"]]
    if found:
        text += [
            "",
            summary_table(found),
            "",
            "Medians; how many times longer the peer takes, in its best form and with the better of two allocators (the "
            "default, and one that keeps its pages); in brackets the same of the shortest times and of the processors' time. Ideal: operations at the "
            "peak. Memory: the peak less what the process had before its first step.",
            "",
            timings_table(found, peers),
            "",
        ]
        disturbed = [row.available for row in found if row.disturbed()]
        if disturbed:
            text += [
                f"DISTURBED: in {len(disturbed)} of {len(found)} rows other programs used the cores (down to "
                f"{100 * min(disturbed):.0f} % of one was left); their goals are not judged (?). Run again on a quiet machine.",
                "",
            ]
        names = {row.workload for row in found}
        for name, formula in workloads.FORMULAS.items():
            if any(n == name or n.startswith(name + "_") or (name, n) == ("w1", "w2") for n in names):
                text.append(f"Operations of {name}: {formula}.")
        text += ["", peers_table(found)]
    if lines:
        text += ["", lines_table(lines, peers)]
    if results["failures"]:
        text += ["", *(f"FAILED: {what}." for what in results["failures"])]
    return "\n".join(text) + "\n"


# ---- files ---------------------------------------------------------------------------------------------------------
def to_json(results: dict[str, Any], found: list[Row], lines: list[Line]) -> dict[str, Any]:
    as_rows = []
    for row in found:
        entry = asdict(row)
        entry["ratios"] = {peer: row.ratio(peer) for peer in row.peers}
        entry["best_ratio"] = row.best_ratio()
        entry["best_ratio_of_minima"] = row.best_ratio_of_minima()
        entry["best_ratio_of_cpu"] = row.best_ratio_of_cpu()
        as_rows.append(entry)
    return {
        **results,
        "formulas": workloads.FORMULAS,
        "rows": as_rows,
        "measures": [asdict(line) for line in lines],
    }


def write(
    folder: Path, results: dict[str, Any], found: list[Row], lines: list[Line], peers: list[str]
) -> str:
    """Writes bench.md, bench.json and, where there is a peer, bench.png; returns the text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.png").unlink(missing_ok=True)
    text = document(results, found, lines, peers)
    (folder / "bench.md").write_text(text, encoding="utf-8")
    (folder / "bench.json").write_text(
        json.dumps(to_json(results, found, lines), indent=1) + "\n", encoding="utf-8"
    )
    if any(row.peers for row in found):
        plot(folder / "bench.png", found, peers)
    return text


def plot(path: Path, found: list[Row], peers: list[str]) -> None:
    """A group of bars per row: the time of each peer over Hesse's, and the goal."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [row for row in found if row.peers]
    height = 0.8 / max(len(peers), 1)
    figure, axes = plt.subplots(
        figsize=(8, 1.2 + 0.3 * len(shown) * max(len(peers), 2)), layout="constrained"
    )
    for k, peer in enumerate(peers):
        places = [
            i + (k - 0.5 * (len(peers) - 1)) * height for i, row in enumerate(shown) if peer in row.peers
        ]
        values = [row.ratio(peer) for row in shown if peer in row.peers]
        bars = axes.barh(places, values, height, label=NAMES[peer])
        axes.bar_label(bars, [f"{v:.2g}" for v in values], padding=2, fontsize=7)
    for i, row in enumerate(shown):
        goal = row.goal[:-1] if row.goal and row.goal.endswith("x") else None
        if goal:
            axes.plot([float(goal)] * 2, [i - 0.45, i + 0.45], "k:", label="goal" if i == 0 else None)
    labels = [f"{r.workload}, {r.form}\n{r.dtype}, {r.threads} thread(s), {r.isa}" for r in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("time of the peer / time of Hesse (medians)")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)
