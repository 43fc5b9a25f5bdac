#include "autodiff/sparse_jacobian.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "autodiff/arguments.h"
#include "autodiff/coloring.h"
#include "core/ops.h"

namespace hesse {
namespace {

Array whole(const std::vector<int64_t>& v) {
  return Array::from<int64_t>(std::span<const int64_t>(v), {static_cast<int64_t>(v.size())});
}

void check_arguments(std::string_view function, const Arrays& args, const std::vector<int>& argnums) {
  check_argnums(function, args, argnums);
  for (const int i : argnums)
    require(std::count(argnums.begin(), argnums.end(), i) == 1, function, ": argnums names argument ", i,
            " twice");
}

void check_outputs(const Arrays& y) {
  for (size_t k = 0; k < y.size(); ++k)
    require<TypeError>(is_inexact(y[k].dtype()), "sparse_jacobian: output ", k, " has dtype ", y[k].dtype(),
                       "; integers and booleans have no derivative, leave it out");
}

/// The gradient of a real scalar function by all its arguments.
Fn gradient_of(Fn f) {
  return [f = std::move(f)](std::span<const Array> x) {
    const Fn scalar = checked_scalar("sparse_hessian", f, "take sum or mean of it");
    std::vector<int> all;
    for (size_t i = 0; i < x.size(); ++i) {
      require<TypeError>(is_floating(x[i].dtype()), "sparse_hessian: argument ", i, " has dtype ",
                         x[i].dtype(), ", expected float32 or float64");
      all.push_back(static_cast<int>(i));
    }
    return value_and_grad(scalar, Arrays(x.begin(), x.end()), all).second;
  };
}

/// The pattern of d f(args)/d chosen: all inexact arguments are symbols, so that their values do not matter.
Pattern pattern_of(const Fn& f, const Arrays& args, const std::vector<int>& argnums, bool of_gradient) {
  std::vector<size_t> symbolic;
  Avals avals;
  for (size_t i = 0; i < args.size(); ++i)
    if (is_inexact(args[i].dtype())) {
      symbolic.push_back(i);
      avals.push_back(aval(args[i]));
    }
  const Traced t = trace(
      [&](std::span<const Array> x) {
        Arrays in = args;
        for (size_t k = 0; k < symbolic.size(); ++k) in[symbolic[k]] = x[k];
        if (of_gradient) return gradient_of(restricted(f, in, argnums))(chosen(in, argnums));
        Arrays y = f(in);
        check_outputs(y);
        return y;
      },
      avals, false);
  std::vector<bool> marked(static_cast<size_t>(t.graph->num_inputs()), false);
  std::vector<size_t> order;
  for (const int i : argnums) {
    const auto at = static_cast<size_t>(std::find(symbolic.begin(), symbolic.end(), static_cast<size_t>(i)) -
                                        symbolic.begin());
    marked[at] = true;
    order.push_back(at);
  }
  constexpr int64_t kMostPlaces = int64_t{1} << 27;  // some gigabytes
  auto found = jacobian_pattern_within(kMostPlaces, *t.graph, marked);
  require(found.has_value(), of_gradient ? "sparse_hessian" : "sparse_jacobian", ": more than ", kMostPlaces,
          " entries can differ from zero; give the pattern, or use products (jvp, vjp)");
  Pattern p = *std::move(found);
  if (std::is_sorted(order.begin(), order.end())) return p;
  // Columns in the order of argnums.
  std::vector<int64_t> place(static_cast<size_t>(p.cols));
  std::map<size_t, int64_t> start;
  int64_t at = 0;
  for (const size_t i : order) {
    start[i] = at;
    at += num_elements(avals[i].shape);
  }
  size_t c = 0;
  for (const auto& [i, first] : start)
    for (int64_t e = 0; e < num_elements(avals[i].shape); ++e) place[c++] = first + e;
  for (int64_t& col : p.columns) col = place[static_cast<size_t>(col)];
  for (size_t r = 0; r + 1 < p.starts.size(); ++r)
    std::sort(p.columns.begin() + p.starts[r], p.columns.begin() + p.starts[r + 1]);
  return p;
}

void check_pattern(std::string_view function, const Pattern& p, int64_t rows, int64_t cols) {
  require(p.rows == rows && p.cols == cols, function, ": pattern has shape (", p.rows, ", ", p.cols,
          "), expected (", rows, ", ", cols, "), the entries of the outputs and of the arguments");
}

/// Flattened and joined, of one dtype.
Array joined(const Arrays& parts) {
  DType t = parts[0].dtype();
  for (const Array& a : parts) t = promote(t, a.dtype());
  Arrays flat;
  for (const Array& a : parts) flat.push_back(reshape(astype(a, t), {a.size()}));
  return flat.size() == 1 ? flat[0] : concatenate(flat);
}
/// The sum of the unit vectors of a colour, in the shapes and dtypes of `like`.
MaybeArrays seeds(const Array& colors, const Array& color, const Arrays& like) {
  MaybeArrays out;
  int64_t at = 0;
  for (const Array& a : like) {
    const Array part = slice(colors, {at}, {at + a.size()}, {1});
    out.emplace_back(reshape(astype(equal(part, color), a.dtype()), a.shape()));
    at += a.size();
  }
  return out;
}
Arrays filled(const MaybeArrays& parts, const Arrays& like) {
  Arrays out;
  for (size_t k = 0; k < like.size(); ++k)
    out.push_back(parts[k] ? *parts[k] : zeros(like[k].shape(), like[k].dtype()));
  return out;
}

Array by_tangents(const Fn& g, const Arrays& x, const Array& colors, int64_t passes) {
  const Fn pass = [&](std::span<const Array> k) {
    const auto [y, dy] = jvp(g, x, seeds(colors, k[0], x));
    return Arrays{joined(filled(dy, y))};
  };
  return vmap(pass, {arange(0, static_cast<double>(passes), 1, kInt64)}, {0}, {0})[0];
}

}  // namespace

SparsityPlan::SparsityPlan(Pattern pattern, bool symmetric) : pattern_(std::move(pattern)) {
  Coloring colors;
  std::vector<int64_t> at;
  at.reserve(pattern_.columns.size());
  if (symmetric) {
    colors = color_symmetric(pattern_);
    const SymmetricPlaces places = symmetric_places(pattern_, colors);
    for (size_t p = 0; p < places.row.size(); ++p)
      at.push_back(places.color[p] * pattern_.rows + places.row[p]);
  } else {
    colors = color_columns(pattern_);
    // A pass of reverse mode costs about two of forward mode.
    if (Coloring rows = color_columns(transposed(pattern_)); 2 * rows.count <= colors.count) {
      colors = std::move(rows);
      reverse_ = true;
    }
    for (int64_t r = 0; r < pattern_.rows; ++r)
      for (int64_t p = pattern_.starts[static_cast<size_t>(r)];
           p < pattern_.starts[static_cast<size_t>(r) + 1]; ++p) {
        const int64_t c = pattern_.columns[static_cast<size_t>(p)];
        at.push_back(reverse_ ? colors.of[static_cast<size_t>(r)] * pattern_.cols + c
                              : colors.of[static_cast<size_t>(c)] * pattern_.rows + r);
      }
  }
  const StagedRegion none(nullptr);  // constants, whoever is tracing
  passes_ = colors.count;
  colors_ = whole(colors.of);
  at_ = whole(at);
  places_ = sparse::csr(zeros({pattern_.nnz()}), whole(pattern_.columns), whole(pattern_.starts),
                        pattern_.rows, pattern_.cols);
}

SparsityPlan SparsityPlan::of_jacobian(const Fn& f, const Arrays& args, const std::vector<int>& argnums,
                                       const std::optional<Pattern>& pattern) {
  check_arguments("sparse_jacobian", args, argnums);
  if (!pattern) return {pattern_of(f, args, argnums, false), false};
  return {*pattern, false};
}

SparsityPlan SparsityPlan::of_hessian(const Fn& f, const Arrays& args, const std::vector<int>& argnums,
                                      const std::optional<Pattern>& pattern) {
  check_arguments("sparse_hessian", args, argnums);
  int64_t n = 0;
  for (const int i : argnums) n += args[static_cast<size_t>(i)].size();
  if (!pattern) return {symmetric_part(pattern_of(f, args, argnums, true)), true};
  check_pattern("sparse_hessian", *pattern, n, n);
  require(symmetric_part(*pattern) == *pattern,
          "sparse_hessian: pattern has places whose transposes it lacks; a Hessian is symmetric");
  return {*pattern, true};
}

Array SparsityPlan::jacobian_values(const Fn& f, const Arrays& args, const std::vector<int>& argnums) const {
  check_arguments("sparse_jacobian", args, argnums);
  const Arrays x = chosen(args, argnums);
  const Fn g = restricted(f, args, argnums);
  const auto check = [&](const Arrays& y) {
    check_outputs(y);
    int64_t rows = 0, cols = 0;
    for (const Array& a : y) rows += a.size();
    for (const Array& a : x) cols += a.size();
    check_pattern("sparse_jacobian", pattern_, rows, cols);
  };
  if (passes_ == 0 || pattern_.nnz() == 0) {
    const Arrays y = g(x);
    check(y);
    return y.empty() ? zeros({0}) : zeros({0}, joined(y).dtype());
  }
  Array all;
  if (reverse_) {
    auto [y, pull] = vjp(g, x);
    check(y);
    const Fn pass = [&, &y = y, &pull = pull](std::span<const Array> k) {
      return Arrays{joined(filled(pull(seeds(colors_, k[0], y)), x))};
    };
    all = vmap(pass, {arange(0, static_cast<double>(passes_), 1, kInt64)}, {0}, {0})[0];
  } else {
    const Fn checked = [&](std::span<const Array> v) {
      Arrays y = g(v);
      check(y);
      return y;
    };
    all = by_tangents(checked, x, colors_, passes_);
  }
  return gather(reshape(all, {all.size()}), at_);
}

Array SparsityPlan::hessian_values(const Fn& f, const Arrays& args, const std::vector<int>& argnums) const {
  check_arguments("sparse_hessian", args, argnums);
  const Arrays x = chosen(args, argnums);
  const Fn g = gradient_of(restricted(f, args, argnums));
  int64_t n = 0;
  for (const Array& a : x) n += a.size();
  check_pattern("sparse_hessian", pattern_, n, n);
  if (passes_ == 0 || pattern_.nnz() == 0) return zeros({0}, joined(g(x)).dtype());
  const Array all = by_tangents(g, x, colors_, passes_);
  return gather(reshape(all, {all.size()}), at_);
}

sparse::CSR sparse_jacobian(const Fn& f, const Arrays& args, const std::vector<int>& argnums) {
  const SparsityPlan plan = SparsityPlan::of_jacobian(f, args, argnums);
  return plan.matrix(plan.jacobian_values(f, args, argnums));
}

sparse::CSR sparse_hessian(const Fn& f, const Arrays& args, const std::vector<int>& argnums) {
  const SparsityPlan plan = SparsityPlan::of_hessian(f, args, argnums);
  return plan.matrix(plan.hessian_values(f, args, argnums));
}

std::function<sparse::CSR(const Array&)> sparse_jacobian(std::function<Array(const Array&)> f) {
  struct Plans {
    std::mutex mutex;
    std::map<std::pair<std::vector<int64_t>, DType>, std::shared_ptr<const SparsityPlan>> known;
  };
  const Fn list = [f = std::move(f)](std::span<const Array> x) { return Arrays{f(x[0])}; };
  return [list, plans = std::make_shared<Plans>()](const Array& x) {
    std::shared_ptr<const SparsityPlan> plan;
    {
      const std::lock_guard lock(plans->mutex);
      plan = plans->known[{x.shape().vec(), x.dtype()}];
    }
    if (!plan) {
      plan = std::make_shared<const SparsityPlan>(SparsityPlan::of_jacobian(list, {x}, {0}));
      const std::lock_guard lock(plans->mutex);
      plans->known[{x.shape().vec(), x.dtype()}] = plan;
    }
    return plan->matrix(plan->jacobian_values(list, {x}, {0}));
  };
}

}  // namespace hesse
