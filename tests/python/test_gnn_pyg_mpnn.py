"""MPNN against the same model of PyTorch Geometric's layers, `hs.nn.GRUCell` against PyTorch's: with equal weights.

HESSE_PEERS_PYTHON names an interpreter that has torch and torch_geometric, as for the benchmarks.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

WORKER = Path(__file__).parents[1] / "support" / "pyg_mpnn_worker.py"
NODE, EDGE, OUT, HIDDEN, STEPS, POOL_STEPS, EDGE_HIDDEN = SIZES = (3, 2, 2, 4, 3, 3, 6)


def graphs():
    rng = np.random.default_rng(0)
    return gnn.batch(
        [
            gnn.Graph(rng.integers(n, size=(2, e)), rng.normal(size=(n, NODE)), edge_attr=rng.normal(size=(e, EDGE)))
            for n, e in ((5, 9), (3, 0), (1, 1), (6, 14))
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """What PyTorch gave, by "model|array"."""
    python = os.environ.get("HESSE_PEERS_PYTHON")
    if not python:
        pytest.skip("set HESSE_PEERS_PYTHON to an interpreter that has torch_geometric")
    folder, g = tmp_path_factory.mktemp("pyg"), graphs()
    np.savez(
        folder / "graphs.npz", sizes=SIZES, x=np.asarray(g.x), attr=np.asarray(g.edge_attr),
        edges=np.asarray(g.edge_index), batch=np.asarray(g.node_graph),
        h=np.random.default_rng(1).normal(size=(g.num_nodes, HIDDEN)),
    )  # fmt: skip
    done = subprocess.run(
        [python, str(WORKER), str(folder / "graphs.npz"), str(folder / "results.npz")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {**np.load(folder / "results.npz"), "h": np.load(folder / "graphs.npz")["h"]}


def linear(layer, p, name):
    return layer.replace(weight=p(f"{name}.weight"), bias=p(f"{name}.bias"))


def recurrent(cell, p, name="", end=""):
    layer = lambda own, kind: own.replace(
        weight=p(f"{name}weight_{kind}{end}"), bias=p(f"{name}bias_{kind}{end}")
    )
    return cell.replace(inputs=layer(cell.inputs, "ih"), state=layer(cell.state, "hh"))


def mpnn_of(p):
    """Ours from parameters, or gradients, by PyTorch's names."""
    made = gnn.MPNN(
        NODE, EDGE, OUT, hidden=HIDDEN, steps=STEPS, pool_steps=POOL_STEPS, edge_hidden=EDGE_HIDDEN
    )
    one, two = made.conv.net.layers
    net = made.conv.net.replace(layers=[linear(one, p, "conv.nn.0"), linear(two, p, "conv.nn.2")])
    return made.replace(
        first=linear(made.first, p, "first"), conv=made.conv.replace(net=net),
        cell=recurrent(made.cell, p, "gru.", "_l0"), project=linear(made.project, p, "project"),
        pool=made.pool.replace(cell=recurrent(made.pool.cell, p, "set2set.lstm.", "_l0")),
        hidden_layer=linear(made.hidden_layer, p, "dense.0"), last=linear(made.last, p, "dense.2"),
    )  # fmt: skip


def same(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-9, atol=1e-11)


def compare(peer, name, of_peer, call, inputs):
    of = lambda kind: of_peer(lambda k: hs.array(peer[f"{name}|{kind}.{k}"]))
    model = of("p")
    np.testing.assert_allclose(call(model, *inputs.values()), peer[f"{name}|y"], rtol=1e-10, atol=1e-12)
    loss = lambda model, *inputs: hs.sum(hs.array(peer[f"{name}|c"]) * call(model, *inputs))
    by_model, *by_inputs = hs.grad(loss, argnums=(0, 1, 2))(model, *inputs.values())
    for a, b in zip(hs.tree_leaves(by_model), hs.tree_leaves(of("d")), strict=True):
        same(a, b)
    for k, slope in zip(inputs, by_inputs, strict=True):
        same(slope, peer[f"{name}|d{k}"])


def test_mpnn(peer):
    g = graphs()
    call = lambda model, x, attr: model(g.replace(x=x, edge_attr=attr))
    compare(peer, "mpnn", mpnn_of, call, {"x": g.x, "attr": g.edge_attr})


def test_gru_cell(peer):
    of_peer = lambda p: recurrent(hs.nn.GRUCell(NODE, HIDDEN), p)
    compare(peer, "cell", of_peer, lambda m, x, h: m(x, h), {"x": graphs().x, "h": hs.array(peer["h"])})
