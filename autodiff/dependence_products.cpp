// How dependence passes through products with sparse matrices, and with constant ones that hold zeros.
#include "autodiff/dependence.h"
#include "core/ops.h"
#include "core/ops/matmul.h"
#include "core/sparse.h"

namespace hesse {

// csr_matmul and csr_paired_sum (data, x, pattern...) and csr_sampled (a, b, pattern...), whose patterns are
// known: values [nnz, heads...] meet rows [n, heads..., k...].
std::optional<Dependences> DependenceWalk::sparse_product(const Met& e) {
  const bool sampled = e.op.name() == "csr_sampled";
  const bool product = e.op.name() == "csr_matmul" || e.op.name() == "csr_paired_sum";
  if ((!product && !sampled) || !e.known[2] || !e.known[3] || !e.known[4]) return std::nullopt;
  const auto starts = sparse::index_values(*e.known[2]), columns = sparse::index_values(*e.known[3]),
             entries = sparse::index_values(*e.known[4]);
  const auto row_size = [](const Shape& s) {
    int64_t n = 1;
    for (size_t i = 1; i < s.size(); ++i) n *= s[i];
    return n;
  };
  const int64_t rows = static_cast<int64_t>(starts.size()) - 1, width = row_size(e.in[1].shape);
  const int64_t heads = row_size(product ? e.in[0].shape : e.out[0].shape), k = heads ? width / heads : 0;
  std::vector<std::vector<int>> from(static_cast<size_t>(num_elements(e.out[0].shape)));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t p = starts[static_cast<size_t>(r)]; p < starts[static_cast<size_t>(r) + 1]; ++p) {
      const int64_t c = columns[static_cast<size_t>(p)],
                    d = entries.empty() ? p : entries[static_cast<size_t>(p)];
      for (int64_t j = 0; j < width; ++j) {
        const int64_t value = d * heads + j / k, here = r * width + j;
        auto& to = from[static_cast<size_t>(product ? here : value)];
        to.push_back(e.on[0][product ? value : here]);
        to.push_back(e.on[1][c * width + j]);
      }
    }
  std::vector<int> y;
  for (const auto& parts : from) y.push_back(sets_.unite(parts));
  return Dependences{Dependence(std::move(y))};
}

// Entry (i, k) of a product [m, n] x [n, p] meets entry (j, k) of the right operand where entry (i, j) of the
// left one is not zero, and likewise on the other side.
std::optional<Dependence> DependenceWalk::by_constant_matrix(const Met& e, size_t operand) {
  if (!dynamic_cast<const MatMul*>(&e.op) || e.in[0].shape.size() != 2 || !e.known[1 - operand])
    return std::nullopt;
  const std::vector<bool> there = not_equal(*e.known[1 - operand], 0.0).to_vector<bool>();
  const Shape& s = e.in[1 - operand].shape;
  const int64_t m = e.out[0].shape[0], p = e.out[0].shape[1], n = e.in[1].shape[0];
  std::vector<std::vector<int64_t>> met(static_cast<size_t>(operand == 1 ? m : p));  // places along n
  for (int64_t i = 0; i < s[0]; ++i)
    for (int64_t j = 0; j < s[1]; ++j)
      if (there[static_cast<size_t>(i * s[1] + j)]) {
        if (operand == 1)
          met[static_cast<size_t>(i)].push_back(j);
        else
          met[static_cast<size_t>(j)].push_back(i);
      }
  constexpr double kMostParts = 1e8;
  double parts = 0;
  for (const auto& places : met) parts += static_cast<double>(places.size());
  if (parts * static_cast<double>(operand == 1 ? p : m) > kMostParts) return std::nullopt;
  std::vector<int> y, united;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t k = 0; k < p; ++k) {
      united.clear();
      for (const int64_t j : met[static_cast<size_t>(operand == 1 ? i : k)])
        united.push_back(e.on[operand][operand == 1 ? j * p + k : i * n + j]);
      y.push_back(sets_.unite(united));
    }
  return Dependence(std::move(y));
}

}  // namespace hesse
