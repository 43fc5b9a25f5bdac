"""Layers against PyTorch Geometric with the same weights: values, and gradients by weights and inputs.

HESSE_PEERS_PYTHON names an interpreter that has torch and torch_geometric, as for the benchmarks.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from gnn_cases import DEGREES, EDGE, EDGES, OUT, RELATION, F, N

import hesse as hs
from hesse import gnn

WORKER = Path(__file__).parents[1] / "support" / "pyg_worker.py"
KEY = hs.random.key(0)
BATCH = np.array([0, 0, 0, 1, 1, 1, 1])


def graph_and_arrays():
    rng = np.random.default_rng(0)
    count = EDGES.shape[1]
    graph = gnn.Graph(EDGES, num_nodes=N, edge_data={"kind": RELATION})
    both = np.unique(np.concatenate([EDGES, EDGES[::-1]], axis=1), axis=1)
    arrays = {
        "x": rng.normal(size=(N, F)), "w": rng.uniform(0.5, 2.0, count), "attr": rng.normal(size=(count, EDGE)),
        "wide": rng.normal(size=(count, F)), "edges": np.asarray(graph.edge_index), "both": both,
        "kind": np.asarray(graph.edge_data["kind"]), "batch": BATCH,
    }  # fmt: skip
    return graph, gnn.Graph(both, num_nodes=N), arrays


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """What PyTorch Geometric gave, by "layer|array"."""
    python = os.environ.get("HESSE_PEERS_PYTHON")
    if not python:
        pytest.skip("set HESSE_PEERS_PYTHON to an interpreter that has torch_geometric")
    folder = tmp_path_factory.mktemp("pyg")
    np.savez(folder / "graph.npz", **graph_and_arrays()[2])
    done = subprocess.run(
        [python, str(WORKER), str(folder / "graph.npz"), str(folder / "results.npz")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(folder / "results.npz"))


def with_(module, **fields):
    """A copy with arrays in place of some fields; "a.b" is the field b of the field a."""
    for name, value in fields.items():
        if "." in name:
            outer, inner = name.split(".", 1)
            value, name = with_(getattr(module, outer), **{inner: value}), outer
        module = module.replace(**{name: value})
    return module


def with_linear(module, p, **names):
    """Sets fields that are Linear layers from "name.weight" and "name.bias"."""
    for field, name in names.items():
        module = with_(module, **{f"{field}.weight": p[f"{name}.weight"]})
        if f"{name}.bias" in p:
            module = with_(module, **{f"{field}.bias": p[f"{name}.bias"]})
    return module


def net(sizes, p, name="nn"):
    made = hs.nn.MLP(sizes, key=KEY)
    layers = [
        layer.replace(weight=p[f"{name}.{2 * k}.weight"], bias=p[f"{name}.{2 * k}.bias"])
        for k, layer in enumerate(made.layers)
    ]
    return made.replace(layers=layers)


def gat(p, **options):
    layer = gnn.GATConv(F, OUT, heads=2, key=KEY, **options)
    fields = {
        "weight": p["lin.weight"],
        "source_attention": p["att_src"][0],
        "target_attention": p["att_dst"][0],
        "bias": p["bias"],
    }
    if "att_edge" in p:
        fields |= {"edge_weight": p["lin_edge.weight"], "edge_attention": p["att_edge"][0]}
    return with_(layer, **fields)


def gatv2(p, **options):
    layer = with_linear(gnn.GATv2Conv(F, OUT, heads=2, key=KEY, **options), p, source="lin_l", target="lin_r")
    fields = {"attention": p["att"][0], "bias": p["bias"]}
    return with_(
        layer, **(fields | ({"edge_weight": p["lin_edge.weight"]} if "lin_edge.weight" in p else {}))
    )


def transformer(p, **options):
    layer = gnn.TransformerConv(F, OUT, heads=2, key=KEY, **options)
    layer = with_linear(layer, p, query="lin_query", key="lin_key", value="lin_value", skip="lin_skip")
    return (
        with_(layer, edge=p["lin_edge.weight"], gate=p["lin_beta.weight"][0])
        if "lin_beta.weight" in p
        else layer
    )


def sage(p, **options):
    return with_linear(gnn.SAGEConv(F, OUT, key=KEY, **options), p, neighbours="lin_l", root="lin_r")


def pna(p, *words, **options):
    layer = gnn.PNAConv(F, OUT, *words, degrees=DEGREES, key=KEY, **options)
    layer = with_linear(layer, p, before="pre_nns.0.0", after="post_nns.0.0", last="lin")
    return with_linear(layer, p, edge="edge_encoder") if "edge_encoder.weight" in p else layer


def rgcn(p, **options):
    turned = {"weight": np.swapaxes(p["weight"], 1, 2), "root": p["root"].T, "bias": p["bias"]}
    layer = with_(gnn.RGCNConv(F, OUT, 3, key=KEY, **options), **turned)
    return with_(layer, coefficients=p["comp"]) if "comp" in p else layer


def gated(p):
    cell = {
        "cell.inputs.weight": "weight_ih",
        "cell.inputs.bias": "bias_ih",
        "cell.state.weight": "weight_hh",
        "cell.state.bias": "bias_hh",
    }
    return with_(
        gnn.GatedGraphConv(OUT, 2, key=KEY), weight=p["weight"], **{k: p[f"rnn.{v}"] for k, v in cell.items()}
    )


def set2set(p):
    cell = {
        "cell.inputs.weight": "weight_ih",
        "cell.inputs.bias": "bias_ih",
        "cell.state.weight": "weight_hh",
        "cell.state.bias": "bias_hh",
    }
    return with_(gnn.Set2Set(F, 3, key=KEY), **{k: p[f"lstm.{v}_l0"] for k, v in cell.items()})


def jumping(p):
    made = with_linear(gnn.JumpingKnowledge("lstm", F, 3, key=KEY), p, score="att")
    for field, end in (("upwards", ""), ("downwards", "_reverse")):
        for part, name in (("inputs", "ih"), ("state", "hh")):
            names = {f"{field}.{part}.{k}": p[f"lstm.{k}_{name}_l0{end}"] for k in ("weight", "bias")}
            made = with_(made, **names)
    return made


def virtual(layer, a):
    x, v = layer(a["x"], layer.start(a["two"]), a["two"])
    return hs.concat([x, v])


def linear(p, name, n, m):
    return hs.nn.Linear(n, m, key=KEY).replace(weight=p[f"{name}.weight"], bias=p[f"{name}.bias"])


def gin(p):
    made = gnn.GINConv(net([F, 5, OUT], p), train_epsilon=True)
    return made.replace(epsilon=p["eps"][0])


def gine_edges(p):
    made = gnn.GINEConv(net([F, 5, OUT], p), in_features=F, edge_features=EDGE, key=KEY)
    return with_linear(made, p, edge="lin")


def nnconv(p, reduce):
    made = gnn.NNConv(F, OUT, net([EDGE, 5, F * OUT], p), reduce=reduce, key=KEY)
    return with_(made, **{"root.weight": p["lin.weight"], "bias": p["bias"]})


def scaled(p, layer, prefix=""):
    return layer.replace(scale=p[f"{prefix}weight"], shift=p[f"{prefix}bias"])


ALL = ["mean", "min", "max", "std", "sum", "var"]
SCALERS = ["identity", "amplification", "attenuation", "linear", "inverse"]
ATTR = lambda f, a: f(a["x"], a["graph"], edge_attr=a["attr"])
WIDE = lambda f, a: f(a["x"], a["graph"], edge_attr=a["wide"])
PLAIN = lambda f, a: f(a["x"], a["graph"])
JUMPING = lambda f, a: f([a["x"], a["x"] * a["x"], hs.sin(a["x"])])
WEIGHTED = lambda f, a: f(a["x"], a["graph"].replace(edge_weight=a["w"]))
# The layer from the parameters by PyTorch Geometric's names, and how it is called.
LAYERS = {
    "gcn": (lambda p: gnn.GCNConv(F, OUT).replace(weight=p["lin.weight"], bias=p["bias"]), WEIGHTED),
    "gcn no loops": (lambda p: gnn.GCNConv(F, OUT, self_loops=False).replace(weight=p["lin.weight"], bias=p["bias"]), WEIGHTED),
    "sage mean": (sage, PLAIN),
    "sage sum": (lambda p: sage(p, reduce="sum"), PLAIN),
    "sage max": (lambda p: sage(p, reduce="max"), PLAIN),
    "sage unit": (lambda p: sage(p, unit_length=True), PLAIN),
    "sg": (lambda p: gnn.SGConv(F, OUT, steps=3).replace(weight=p["lin.weight"], bias=p["lin.bias"]), WEIGHTED),
    "appnp": (lambda p: gnn.APPNP(3, 0.2), WEIGHTED),
    "cheb": (
        lambda p: gnn.ChebConv(F, OUT, 4).replace(weight=np.stack([p[f"lins.{k}.weight"] for k in range(4)]), bias=p["bias"]),
        lambda f, a: f(a["x"], a["both"]),
    ),
    "gat": (gat, PLAIN),
    "gat mean": (lambda p: gat(p, concat=False, self_loops=False), PLAIN),
    "gat edges": (lambda p: gat(p, edge_features=EDGE), ATTR),
    "gatv2": (gatv2, PLAIN),
    "gatv2 edges": (lambda p: gatv2(p, edge_features=EDGE), ATTR),
    "transformer": (transformer, PLAIN),
    "transformer gate": (lambda p: transformer(p, edge_features=EDGE, gate=True), ATTR),
    "gin": (gin, PLAIN),
    "gine": (lambda p: gnn.GINEConv(net([F, 5, OUT], p), epsilon=0.3), WIDE),
    "gine edges": (gine_edges, ATTR),
    **{f"edge {r}": (lambda p, r=r: gnn.EdgeConv(net([2 * F, 5, OUT], p), reduce=r), PLAIN) for r in ("max", "sum", "mean")},
    "nn add": (lambda p: nnconv(p, "sum"), ATTR),
    "nn mean": (lambda p: nnconv(p, "mean"), ATTR),
    "gated": (gated, WEIGHTED),
    "pna": (lambda p: pna(p, ALL, SCALERS), PLAIN),
    "pna edges": (lambda p: pna(p, ALL[:4], SCALERS[:3], edge_features=EDGE), ATTR),
    "rgcn": (rgcn, lambda f, a: f(a["x"], a["graph"], a["kind"])),
    "rgcn bases": (lambda p: rgcn(p, bases=2), lambda f, a: f(a["x"], a["graph"], a["kind"])),
    "sum pool": (lambda p: gnn.global_sum_pool, lambda f, a: f(a["x"], a["two"])),
    "mean pool": (lambda p: gnn.global_mean_pool, lambda f, a: f(a["x"], a["two"])),
    "max pool": (lambda p: gnn.global_max_pool, lambda f, a: f(a["x"], a["two"])),
    "attention pool": (
        lambda p: gnn.AttentionPooling(linear(p, "gate_nn", F, 1), linear(p, "nn", F, OUT)), lambda f, a: f(a["x"], a["two"]),
    ),
    "set2set": (set2set, lambda f, a: f(a["x"], a["two"])),
    "graph norm": (lambda p: scaled(p, gnn.GraphNorm(F)).replace(mean_scale=p["mean_scale"]), lambda f, a: f(a["x"], a["two"])),
    "pair norm": (lambda p: gnn.PairNorm(1.3), lambda f, a: f(a["x"], a["two"])),
    "pair norm individually": (lambda p: gnn.PairNorm(1.3, individually=True), lambda f, a: f(a["x"], a["two"])),
    "batch norm": (lambda p: scaled(p, hs.nn.BatchNorm(F), "module."), lambda f, a: f(a["x"])[0]),
    "layer norm": (lambda p: scaled(p, hs.nn.LayerNorm(F)), lambda f, a: f(a["x"])),
    "top k": (
        lambda p: gnn.TopKPooling(F, 0.5).replace(direction=p["select.weight"][0]), lambda f, a: f(a["x"], a["two"])[0],
    ),
    "virtual node": (lambda p: gnn.VirtualNode(F, linear(p, "nn", F, F)).replace(first=p["first"]), virtual),
    "jumping concat": (lambda p: gnn.JumpingKnowledge("concat"), JUMPING),
    "jumping max": (lambda p: gnn.JumpingKnowledge("max"), JUMPING),
    "jumping lstm": (jumping, JUMPING),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients(peer, name):
    build, call = LAYERS[name]
    graph, both, arrays = graph_and_arrays()
    found = {k.split("|", 1)[1]: v for k, v in peer.items() if k.startswith(f"{name}|")}
    assert found, "the worker does not know this layer"
    parameters = {k[2:]: v for k, v in found.items() if k.startswith("p.")}
    by_parameters = {k[3:]: v for k, v in found.items() if k.startswith("dp.")}
    # The two graphs of the batch, without the edges between them.
    two = graph.replace(node_graph=hs.array(BATCH), node_starts=hs.array([0, 3, 7]))
    inputs = {k: hs.array(arrays[k]) for k in ("x", "w", "attr", "wide")}
    fixed = {"graph": graph, "both": both, "two": two, "kind": arrays["kind"]}
    run = lambda layer, inputs: call(layer, {**fixed, **inputs})
    layer = build({k: hs.array(v) for k, v in parameters.items()})
    y = run(layer, inputs)
    np.testing.assert_allclose(np.asarray(y), found["y"], rtol=1e-10, atol=1e-12)

    loss = lambda layer, inputs: hs.sum(hs.array(found["c"]) * run(layer, inputs))
    if isinstance(layer, hs.nn.Module):
        by_layer, by_inputs = hs.grad(loss, argnums=(0, 1))(layer, inputs)
        # The gradient in PyTorch's names, arranged as a layer of ours.
        expected = build({k: hs.array(v) for k, v in by_parameters.items()})
        if parameters:
            trained, _ = hs.trainable(by_layer)
            wanted, _ = hs.trainable(expected)
            assert len(trained) == len(wanted) > 0
            for a, b in zip(trained, wanted, strict=True):
                np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=1e-11)
    else:
        by_inputs = hs.grad(lambda inputs: loss(layer, inputs))(inputs)
    for k in inputs:
        np.testing.assert_allclose(np.asarray(by_inputs[k]), found[f"d{k}"], rtol=1e-9, atol=1e-11, err_msg=k)


def test_matrices_and_encodings(peer):
    graph, _, arrays = graph_and_arrays()
    graph = graph.replace(edge_weight=hs.array(arrays["w"]))
    dense = lambda g: np.asarray(g.adjacency().todense()).T  # PyTorch Geometric has sources as rows
    both = graph.undirected()
    ours = {
        "undirected add": dense(both), "undirected mean": dense(graph.undirected("mean")),
        "undirected max": dense(graph.undirected("max")), "loops": dense(graph.with_self_loops()),
        "walks": gnn.random_walk_encoding(graph.replace(edge_weight=None).coalesced(), 4),
        **{f"laplacian {kind}": both.laplacian(kind).todense() for kind in (None, "sym", "rw")},
    }  # fmt: skip
    for name, found in ours.items():
        np.testing.assert_allclose(
            np.asarray(found), peer[f"utility {name}"], rtol=1e-10, atol=1e-12, err_msg=name
        )
