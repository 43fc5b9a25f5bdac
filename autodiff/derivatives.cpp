#include "core/derivatives.h"
#include "autodiff/autodiff.h"
#include "autodiff/walk.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"

/// jvp, vjp, linearise and the derivatives of graphs: each opens a tape, runs, and walks it.
namespace hesse {
namespace {

std::vector<Ref<Node>> snapshot(const TapeOwner& tape) { return tape->nodes(); }

void check_tangent(std::string_view function, std::string_view what, size_t i, const Aval& a,
                   const Array& t) {
  require<TypeError>(is_inexact(a.dtype), function, what == "cotangent" ? ": output " : ": argument ", i,
                     " has dtype ", a.dtype,
                     "; only floating and complex arrays have derivatives, give None as its ", what);
  require(t.shape() == a.shape, function, ": ", what, " ", i, " has shape ", t.shape(), ", expected ",
          a.shape, ", that of the ", what == "cotangent" ? "output" : "argument");
  require<TypeError>(t.dtype() == a.dtype, function, ": ", what, " ", i, " has dtype ", t.dtype(),
                     ", expected ", a.dtype, "; convert it with astype");
}

/// What a pull-back or a linear function holds: the tape and its ends.
struct History {
  TapeOwner tape;
  Arrays leaves, outputs;
  std::vector<Ref<Node>> nodes;
};

std::shared_ptr<History> record(const Fn& f, const Arrays& primals) {
  auto h = std::make_shared<History>();
  Arrays in;
  for (const Array& x : primals) {
    in.push_back(is_inexact(x.dtype()) ? h->tape->fresh(x) : x);
    h->leaves.push_back(in.back());
  }
  h->outputs = f(in);
  h->tape->seal();
  h->nodes = snapshot(h->tape);
  return h;
}

DerivedGraph jvp_graph(const Graph& g, const std::vector<bool>& marked, const std::vector<bool>& force,
                       bool with_primals) {
  DerivedGraph out;
  Avals in = g.input_avals();
  const size_t n = in.size();
  for (size_t i = 0; i < n; ++i)
    if (marked[i]) in.push_back(g.input_aval(static_cast<int>(i)));
  out.graph = trace_closed(
      [&](std::span<const Array> args) {
        const Arrays x(args.begin(), args.begin() + static_cast<int64_t>(n));
        MaybeArrays dx(n);
        size_t next = n;
        for (size_t i = 0; i < n; ++i)
          if (marked[i]) dx[i] = args[next++];
        auto [y, dy] = jvp([&](std::span<const Array> v) { return g.call(v); }, x, dx);
        Arrays result;
        if (with_primals) result = y;
        out.present.clear();
        for (size_t k = 0; k < y.size(); ++k) {
          if (!dy[k] && k < force.size() && force[k]) dy[k] = zeros_of(aval(y[k]));
          out.present.push_back(dy[k].has_value());
          if (dy[k]) result.push_back(*dy[k]);
        }
        return result;
      },
      in);
  return out;
}

DerivedGraph vjp_graph(const Graph& g, const std::vector<bool>& marked, const std::vector<bool>& wanted,
                       const std::vector<bool>& force) {
  DerivedGraph out;
  Avals in = g.input_avals();
  const size_t n = in.size();
  for (size_t k = 0; k < marked.size(); ++k)
    if (marked[k]) in.push_back(g.output_aval(static_cast<int>(k)));
  out.graph = trace_closed(
      [&](std::span<const Array> args) {
        TapeOwner tape;
        Arrays x, leaves;
        for (size_t i = 0; i < n; ++i) {
          x.push_back(wanted[i] ? tape->fresh(args[i]) : args[i]);
          if (wanted[i]) leaves.push_back(x.back());
        }
        const Arrays y = g.call(x);
        tape->seal();
        MaybeArrays ct;
        size_t next = n;
        for (size_t k = 0; k < y.size(); ++k)
          ct.push_back(marked[k] ? MaybeArray(args[next++]) : std::nullopt);
        const MaybeArrays pulled = pull_back(snapshot(tape), leaves, y, ct);
        Arrays result;
        out.present.assign(n, false);
        for (size_t i = 0, k = 0; i < n; ++i) {
          MaybeArray c = wanted[i] ? pulled[k++] : std::nullopt;
          if (!c && i < force.size() && force[i]) c = zeros_of(g.input_aval(static_cast<int>(i)));
          out.present[i] = c.has_value();
          if (c) result.push_back(*c);
        }
        return result;
      },
      in);
  return out;
}

Ref<const Graph> transpose_graph(const Graph& g, const std::vector<bool>& linear) {
  Avals in, all = g.input_avals();
  for (size_t i = 0; i < all.size(); ++i)
    if (!linear[i]) in.push_back(all[i]);
  const size_t num_residuals = in.size();
  for (const Aval& a : g.output_avals()) in.push_back(a);
  return trace_closed(
      [&](std::span<const Array> args) {
        const auto inner = make_ref<Trace>();
        struct Closer {
          const Ref<Trace>& t;
          ~Closer() { t->close(); }
        } closer{inner};
        Arrays x, symbols;
        for (size_t i = 0, r = 0; i < all.size(); ++i) {
          x.push_back(linear[i] ? inner->symbol(all[i]) : args[r++]);
          if (linear[i]) symbols.push_back(x.back());
        }
        const Arrays y = g.call(x);
        const MaybeArrays ct(args.begin() + static_cast<int64_t>(num_residuals), args.end());
        const std::vector<Ref<Node>> nodes = inner->nodes();
        const MaybeArrays pulled =
            transpose_linear(nodes, symbols, y, ct, "linear_transpose",
                             "the function must be linear (for a custom_vjp: its backward function in the "
                             "cotangents)");
        Arrays result;
        for (size_t k = 0; k < pulled.size(); ++k)
          result.push_back(pulled[k] ? *pulled[k] : zeros_of(aval(symbols[k])));
        return result;
      },
      in);
}

[[maybe_unused]] const bool g_installed =
    (install_derivatives({jvp_graph, vjp_graph, transpose_graph}), register_ops(custom_ops()), true);

}  // namespace

std::pair<Arrays, MaybeArrays> jvp(const Fn& f, const Arrays& primals, const MaybeArrays& tangents) {
  require(primals.size() == tangents.size(), "jvp: ", primals.size(), " primals but ", tangents.size(),
          " tangents");
  TapeOwner tape;
  Arrays in, leaves;
  MaybeArrays seeds;
  for (size_t i = 0; i < primals.size(); ++i) {
    if (tangents[i]) check_tangent("jvp", "tangent", i, aval(primals[i]), *tangents[i]);
    in.push_back(tangents[i] ? tape->fresh(primals[i]) : primals[i]);
    if (!tangents[i]) continue;
    leaves.push_back(in.back());
    seeds.push_back(tangents[i]);
  }
  Arrays y = f(in);
  tape->seal();
  MaybeArrays dy = push_forward(snapshot(tape), leaves, seeds, y);
  return {std::move(y), std::move(dy)};
}

std::pair<Arrays, LinearFn> linearise(const Fn& f, const Arrays& primals) {
  auto h = record(f, primals);
  Arrays y = h->outputs;
  return {std::move(y), [h](const MaybeArrays& tangents) {
            require(tangents.size() == h->leaves.size(), "linearise: expected ", h->leaves.size(),
                    " tangents, got ", tangents.size());
            for (size_t i = 0; i < tangents.size(); ++i)
              if (tangents[i]) check_tangent("linearise", "tangent", i, aval(h->leaves[i]), *tangents[i]);
            return push_forward(h->nodes, h->leaves, tangents, h->outputs);
          }};
}

std::pair<Arrays, LinearFn> vjp(const Fn& f, const Arrays& primals) {
  auto h = record(f, primals);
  Arrays y = h->outputs;
  return {std::move(y), [h](const MaybeArrays& cotangents) {
            require(cotangents.size() == h->outputs.size(), "vjp: expected ", h->outputs.size(),
                    " cotangents, got ", cotangents.size());
            for (size_t k = 0; k < cotangents.size(); ++k)
              if (cotangents[k]) check_tangent("vjp", "cotangent", k, aval(h->outputs[k]), *cotangents[k]);
            return pull_back(h->nodes, h->leaves, h->outputs, cotangents);
          }};
}

MaybeArrays linear_transpose(const Fn& f, const Avals& args, const MaybeArrays& cotangents) {
  const auto trace = make_ref<Trace>();
  struct Closer {
    const Ref<Trace>& t;
    ~Closer() { t->close(); }
  } closer{trace};
  Arrays symbols;
  for (const Aval& a : args) symbols.push_back(trace->symbol(a));
  const Arrays y = f(symbols);
  require(y.size() == cotangents.size(), "linear_transpose: the function has ", y.size(), " outputs, got ",
          cotangents.size(), " cotangents");
  for (size_t k = 0; k < y.size(); ++k)
    if (cotangents[k]) check_tangent("linear_transpose", "cotangent", k, aval(y[k]), *cotangents[k]);
  const std::vector<Ref<Node>> nodes = trace->nodes();
  return transpose_linear(nodes, symbols, y, cotangents, "linear_transpose", "the function must be linear");
}

}  // namespace hesse
