#include "core/program/turned_products.h"

#include <algorithm>

#include "core/ops.h"
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
  explicit TurnedProducts(const Graph& g) : g_(g), makers_(g), turned_(g.values().size()) {}
  bool any() const {
    return std::any_of(g_.equations().begin(), g_.equations().end(),
                       [&](const Graph::Equation& eq) { return pays(eq); });
  }
  std::optional<Arrays> rule(size_t e, const Arrays& values) {
    const Graph::Equation& eq = g_.equations()[e];
    if (pays(eq)) {
      const Array x = values[at(makers_.transposed(eq.in[0]))];
      return turned(eq, matmul(transpose(values[at(eq.in[1])]), x));
    }
    if (eq.op->name() != "add") return std::nullopt;
    const Array a = untransposed(eq.in[0], values), b = untransposed(eq.in[1], values);
    if (!a.defined() || !b.defined() || !(turned_[at(eq.in[0])].defined() || turned_[at(eq.in[1])].defined()))
      return std::nullopt;
    return turned(eq, a + b);
  }

 private:
  bool pays(const Graph::Equation& eq) const {
    if (eq.op->name() != "matmul") return false;
    const Aval &x = g_.values()[at(eq.in[0])], &y = g_.values()[at(eq.in[1])];
    if (x.shape.size() != 2 || y.shape.size() != 2 || !is_floating(y.dtype) ||
        makers_.transposed(eq.in[0]) < 0)
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
    const int other = makers_.transposed(v);
    return other < 0 ? Array() : values[at(other)];
  }

  const Graph& g_;
  Makers makers_;
  Arrays turned_;  // by value: what it is the transpose of now
};

}  // namespace

Ref<const Graph> with_turned_products(const Ref<const Graph>& g) { return rewritten<TurnedProducts>(g); }

}  // namespace hesse
