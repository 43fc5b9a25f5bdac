#include "core/program/scaled_rows.h"

#include <algorithm>
#include <set>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

/// A matrix as a product of others, entry by entry.
struct Factors {
  std::vector<int> rows;  // those that are one number for each row, as columns [n, 1]
  std::vector<int> rest;  // in ascending order
};
/// sum_j a_ij (g W^T + h V^T + ...)_ij
struct RowDot {
  Factors a;
  std::vector<std::pair<int, int>> products;  // g and W^T
};
/// A product of the factors `a` with a matrix, or with its transpose.
struct Product {
  std::vector<int> a;
  int matrix;
  bool transposed;
  auto operator<=>(const Product&) const = default;
};

class ScaledRows {
 public:
  explicit ScaledRows(const Graph& g) : g_(g), makers_(g) {
    for_products_of_dots([&](const RowDot&, Product p) { dots_.insert(std::move(p)); });
    if (dots_.empty()) return;
    for (const Graph::Equation& eq : g.equations())
      if (auto product = scaled_product(eq)) shared_.insert(std::move(*product));
    std::set<Product> of_both;  // of dot products that can be written by them
    for_products_of_dots([&](const RowDot& dot, Product p) {
      if (is_shared(dot)) of_both.insert(std::move(p));
    });
    shared_ = std::move(of_both);
  }
  bool any() const { return !shared_.empty(); }

  std::optional<Arrays> rule(size_t e, const Arrays& values) const {
    const Graph::Equation& eq = g_.equations()[e];
    if (const auto product = scaled_product(eq); product && shared_.count(*product)) {
      const Array common = matmul(product_of(product->a, values), values[at(eq.in[1])]);
      return Arrays{scaled(common, factors(eq.in[0]).rows, values)};
    }
    const std::vector<RowDot> dots = row_dots(eq);
    if (std::none_of(dots.begin(), dots.end(), [&](const RowDot& dot) { return is_shared(dot); }))
      return std::nullopt;
    Arrays sums;  // of terms of one width at once
    const auto add = [&](const Array& y) {
      const auto it =
          std::find_if(sums.begin(), sums.end(), [&](const Array& s) { return s.shape() == y.shape(); });
      it == sums.end() ? sums.push_back(y) : void(*it = *it + y);
    };
    for (const int term : terms(eq.in[0])) {
      const auto dot = row_dot(term);
      if (dot && is_shared(*dot))
        for (const auto& [g, w] : dot->products) add(product_with(g, w, dot->a, values));
      else
        add(values[at(term)]);
    }
    Array out = apply1(eq.op, {sums[0]});
    for (size_t i = 1; i < sums.size(); ++i) out = out + apply1(eq.op, {sums[i]});
    return Arrays{out};
  }

 private:
  const Shape& shape(int v) const { return g_.values()[at(v)].shape; }
  bool is_matrix(int v) const { return shape(v).size() == 2 && is_floating(g_.values()[at(v)].dtype); }
  Product product(std::vector<int> a, int matrix, bool transposed) const {
    const int other = makers_.transposed(matrix);
    return {std::move(a), other < 0 ? matrix : other, transposed != (other >= 0)};
  }

  template <class F>
  void for_products_of_dots(F&& f) const {
    for (const Graph::Equation& eq : g_.equations())
      for (const RowDot& dot : row_dots(eq))
        for (const auto& [g, w] : dot.products) f(dot, product(dot.a.rest, w, true));
  }

  Factors factors(int v) const {
    constexpr size_t kMost = 64;  // of a power there are very many
    Factors out;
    std::vector<int> open{v};
    for (size_t i = 0; i < open.size(); ++i) {
      if (const Graph::Equation* eq = makers_.of(open[i], "multiply"); eq && open.size() < kMost) {
        open.insert(open.end(), eq->in.begin(), eq->in.end());
        continue;
      }
      const Graph::Equation* repeated = makers_.of(open[i], "broadcast_to");
      if (repeated && shape(repeated->in[0]) == Shape{shape(v)[0], 1})
        out.rows.push_back(repeated->in[0]);
      else
        out.rest.push_back(open[i]);
    }
    std::sort(out.rest.begin(), out.rest.end());
    return out;
  }
  std::optional<Product> scaled_product(const Graph::Equation& eq) const {
    if (eq.op->name() != "matmul" || !is_matrix(eq.in[0]) || !is_matrix(eq.in[1])) return std::nullopt;
    Product found = product(factors(eq.in[0]).rest, eq.in[1], false);
    return dots_.count(found) ? std::optional(std::move(found)) : std::nullopt;
  }

  // A sum as terms that nobody else wants.
  std::vector<int> terms(int v) const {
    std::vector<int> out, open{v};
    for (size_t i = 0; i < open.size(); ++i) {
      const Graph::Equation* sum = makers_.uses(open[i]) == 1 ? makers_.of(open[i], "add") : nullptr;
      if (sum)
        open.insert(open.end(), sum->in.begin(), sum->in.end());
      else
        out.push_back(open[i]);
    }
    return out;
  }
  // Products of matrices that only this sum has.
  std::vector<std::pair<int, int>> products(int v) const {
    std::vector<std::pair<int, int>> out;
    for (const int term : terms(v)) {
      const Graph::Equation* eq = makers_.uses(term) == 1 ? makers_.of(term, "matmul") : nullptr;
      if (!eq || !is_matrix(eq->in[0]) || !is_matrix(eq->in[1])) return {};
      out.emplace_back(eq->in[0], eq->in[1]);
    }
    return out;
  }
  // A term one of whose factors is such products.
  std::optional<RowDot> row_dot(int term) const {
    RowDot out;
    std::vector<int> open{term};
    for (size_t i = 0; i < open.size(); ++i) {
      if (makers_.uses(open[i]) != 1) continue;
      if (const Graph::Equation* eq = makers_.of(open[i], "multiply")) {
        open.insert(open.end(), eq->in.begin(), eq->in.end());
      } else if (auto found = products(open[i]); !found.empty()) {
        if (!out.products.empty()) return std::nullopt;
        out = {factors(term), std::move(found)};
        out.a.rest.erase(std::find(out.a.rest.begin(), out.a.rest.end(), open[i]));
      }
    }
    return out.products.empty() || out.a.rest.empty() ? std::nullopt : std::optional(std::move(out));
  }
  std::vector<RowDot> row_dots(const Graph::Equation& eq) const {
    if (eq.op->name() != "sum" || !is_matrix(eq.in[0])) return {};
    const Params params = eq.op->params();
    if (Dims(ReadParams(params)["axes"]) != Dims{1}) return {};
    std::vector<RowDot> out;
    for (const int term : terms(eq.in[0]))
      if (auto dot = row_dot(term)) out.push_back(std::move(*dot));
    return out;
  }
  bool is_shared(const RowDot& dot) const {
    return std::all_of(dot.products.begin(), dot.products.end(),
                       [&](const auto& p) { return shared_.count(product(dot.a.rest, p.second, true)) > 0; });
  }

  static Array product_of(const std::vector<int>& factors, const Arrays& values) {
    Array out = values[at(factors[0])];
    for (size_t i = 1; i < factors.size(); ++i) out = out * values[at(factors[i])];
    return out;
  }
  Array scaled(Array y, const std::vector<int>& rows, const Arrays& values) const {
    for (const int v : rows) y = broadcast_to(values[at(v)], y.shape()) * y;
    return y;
  }
  // g (a W), with the numbers of a's rows.
  Array product_with(int g, int transposed, const Factors& a, const Arrays& values) const {
    const int other = makers_.transposed(transposed);
    const Array w = other < 0 ? transpose(values[at(transposed)]) : values[at(other)];
    return scaled(values[at(g)] * matmul(product_of(a.rest, values), w), a.rows, values);
  }

  const Graph& g_;
  Makers makers_;
  std::set<Product> dots_, shared_;  // of dot products of rows; those that rows are multiplied by, too
};

}  // namespace

Ref<const Graph> with_scaled_rows(const Ref<const Graph>& g) { return rewritten<ScaledRows>(g); }

}  // namespace hesse
