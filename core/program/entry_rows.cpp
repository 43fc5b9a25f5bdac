#include "core/program/entry_rows.h"

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/index_gather.h"
#include "core/ops/sparse_rows.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

/// The row of every entry, from where the rows of a pattern start.
class RowOfEntry final : public NonDifferentiable {
 public:
  explicit RowOfEntry(int64_t entries) : entries_(entries) {}
  std::string_view name() const override { return "csr_row_of_entry"; }
  Params params() const override { return {{"entries", entries_}}; }
  Avals infer(std::span<const Aval>) const override { return {{{entries_}, kInt64}}; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const sparse::Indices starts(x[0]);
    auto* const row = out[0].as<int64_t>();
    const int64_t rows = x[0].shape[0] - 1;
    std::fill_n(row, entries_, int64_t{-1});  // nowhere
    bool ok = true;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t begin = starts[r], end = starts[r + 1];
      if (begin < 0 || begin > end || end > entries_)
        ok = false;
      else
        std::fill(row + begin, row + end, r);
    }
    if (!ok) sparse::report_bad_pattern("csr_matmul");
  }

 private:
  int64_t entries_;
};

class EntriesAsRows {
 public:
  EntriesAsRows(const Graph& g, int64_t n) : g_(g), n_(n) {}
  bool any() const {
    for (const Graph::Equation& eq : g_.equations())
      if (first_of_pattern(eq)) return true;
    return false;
  }
  std::optional<Arrays> rule(size_t e, const Arrays& values) const {
    const Graph::Equation& eq = g_.equations()[e];
    const auto first = first_of_pattern(eq);
    if (!first) return std::nullopt;
    Arrays x;
    for (const int v : eq.in) x.push_back(values[static_cast<size_t>(v)]);
    if (*first == 2) return Arrays{sampled(x[0], x[1], x, 2, entry_axes(eq))};
    Arrays product{x[0], x[2]};
    for (const size_t i : {6, 7, 8, 3, 4, 5}) product.push_back(x[i]);
    return Arrays{sampled(x[2], x[1], x, 3, entry_axes(eq)), sparse_product(std::move(product))};
  }

 private:
  // Of an equation that is to be written as rows.
  std::optional<size_t> first_of_pattern(const Graph::Equation& eq) const {
    const size_t first = eq.op->name() == "csr_sampled" ? 2 : eq.op->name() == "csr_adjoint" ? 3 : 0;
    if (first == 0 || shape(eq.in[first + 1])[0] != n_) return std::nullopt;
    // The values are in the order of one side of the pattern.
    if (shape(eq.in[first + 2])[0] != 0 && shape(eq.in[first + 5])[0] != 0) return std::nullopt;
    return first;
  }
  const Shape& shape(int v) const { return g_.values()[static_cast<size_t>(v)].shape; }
  size_t entry_axes(const Graph::Equation& eq) const { return shape(eq.out[0]).size(); }

  // Of every entry, the sum of products of row(s) of a and b over the axes that values have not.
  Array sampled(const Array& a, const Array& b, const Arrays& x, size_t first, size_t axes) const {
    const bool by_row = x[first + 2].shape()[0] == 0;
    const size_t side = by_row ? first : first + 3;
    const Array outer = apply1(make_op<RowOfEntry>(n_), {x[side]});
    const Array inner = astype(x[side + 1], kInt64);
    const IndexRule rule{"csr_matmul", 0, false, false};
    const Array y =
        multiply(gather_rows(a, by_row ? outer : inner, rule), gather_rows(b, by_row ? inner : outer, rule));
    Axes summed;
    for (size_t d = axes; d < y.ndim(); ++d) summed.push_back(static_cast<int64_t>(d));
    return summed.empty() ? y : sum(y, summed);
  }
  Array sparse_product(Arrays x) const {
    static const OpRef op = make_listed_op("csr_matmul", {});
    return apply1(op, std::move(x));
  }

  const Graph& g_;
  int64_t n_;
};

}  // namespace

Ref<const Graph> with_entries_as_rows(const Ref<const Graph>& g, int64_t n) {
  const EntriesAsRows entries(*g, n);
  if (!entries.any()) return g;
  return replaced(*g, [&](size_t e, const Arrays& values) { return entries.rule(e, values); });
}

}  // namespace hesse
