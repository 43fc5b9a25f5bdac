#include "core/program/turned_products.h"

#include <algorithm>

#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

// Numbers that a row of n takes in vectors of a cache line.
double in_vectors(int64_t n, DType dtype) {
  const int64_t lanes = 64 / itemsize(dtype);
  return static_cast<double>((n + lanes - 1) / lanes * lanes);
}

class TurnedProducts {
 public:
  explicit TurnedProducts(const Graph& g)
      : g_(g), maker_(producers_and_uses(g).first), turned_(g.values().size()) {}
  bool any() const {
    return std::any_of(g_.equations().begin(), g_.equations().end(),
                       [&](const Graph::Equation& eq) { return pays(eq); });
  }
  std::optional<Arrays> rule(size_t e, const Arrays& values) {
    const Graph::Equation& eq = g_.equations()[e];
    if (pays(eq)) {
      const Array x = values[at(maker(eq.in[0], "transpose")->in[0])];
      return turned(eq, matmul(transpose(values[at(eq.in[1])]), x));
    }
    if (eq.op->name() != "add") return std::nullopt;
    const Array a = untransposed(eq.in[0], values), b = untransposed(eq.in[1], values);
    if (!a.defined() || !b.defined() || !(turned_[at(eq.in[0])].defined() || turned_[at(eq.in[1])].defined()))
      return std::nullopt;
    return turned(eq, a + b);
  }

 private:
  const Graph::Equation* maker(int v, std::string_view op) const {
    const int e = maker_[at(v)];
    return e >= 0 && g_.equations()[at(e)].op->name() == op ? &g_.equations()[at(e)] : nullptr;
  }
  bool pays(const Graph::Equation& eq) const {
    if (eq.op->name() != "matmul") return false;
    const Aval &x = g_.values()[at(eq.in[0])], &y = g_.values()[at(eq.in[1])];
    if (x.shape.size() != 2 || y.shape.size() != 2 || !is_floating(y.dtype) || !maker(eq.in[0], "transpose"))
      return false;
    const double p = static_cast<double>(x.shape[0]), q = static_cast<double>(y.shape[1]);
    const double rows = static_cast<double>(y.shape[0]);
    return rows > p && rows > q && p > 1 && q > 1 &&
           q * in_vectors(x.shape[0], y.dtype) < p * in_vectors(y.shape[1], y.dtype);
  }
  Arrays turned(const Graph::Equation& eq, const Array& y) {
    turned_[at(eq.out[0])] = y;
    return {transpose(y)};
  }
  // What a value is the transpose of, or undefined.
  Array untransposed(int v, const Arrays& values) const {
    if (turned_[at(v)].defined()) return turned_[at(v)];
    const Graph::Equation* eq = g_.values()[at(v)].shape.size() == 2 ? maker(v, "transpose") : nullptr;
    return eq ? values[at(eq->in[0])] : Array();
  }

  const Graph& g_;
  std::vector<int> maker_;  // by value
  Arrays turned_;           // by value: what it is the transpose of now
};

}  // namespace

Ref<const Graph> with_turned_products(const Ref<const Graph>& g) {
  if (g->is_dynamic()) return g;
  TurnedProducts products(*g);
  if (!products.any()) return g;
  return replaced(*g, [&](size_t e, const Arrays& values) { return products.rule(e, values); });
}

}  // namespace hesse
