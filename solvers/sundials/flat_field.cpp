#include "solvers/sundials/flat_field.h"

#include <cmath>
#include <complex>

#include "core/derivatives.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"

namespace hesse::solvers::sundials {
namespace {

// An array of any inexact dtype as real numbers: real parts, then imaginary parts.
Array as_numbers(const Array& x) {
  const auto flat = [](const Array& part) { return reshape(astype(part, kFloat64), {-1}); };
  return is_complex(x.dtype()) ? concatenate({flat(real(x)), flat(imag(x))}) : flat(x);
}
Array from_numbers(const Array& numbers, const Aval& a) {
  if (!is_complex(a.dtype)) return astype(reshape(numbers, a.shape), a.dtype);
  const int64_t n = num_elements(a.shape);
  const auto part = [&](int64_t from) { return reshape(slice(numbers, {from}, {from + n}, {1}), a.shape); };
  return astype(make_complex(part(0), part(n)), a.dtype);
}

// (t, y, p..., v) -> J v
Ref<const Graph> tangent_of(const Graph& f) {
  std::vector<bool> marked(static_cast<size_t>(f.num_inputs()), false);
  marked[1] = true;
  return derivatives().jvp(f, marked, {true}, false).graph;
}

}  // namespace

int64_t num_numbers(const Aval& a) { return num_elements(a.shape) * (is_complex(a.dtype) ? 2 : 1); }

std::vector<double> magnitudes(const Array& x) {
  const auto sizes = [](const auto& values) {
    std::vector<double> out;
    for (const auto& v : values) out.push_back(static_cast<double>(std::abs(v)));
    return out;
  };
  if (x.dtype() == kFloat64) return sizes(x.to_vector<double>());
  if (x.dtype() == kFloat32) return sizes(x.to_vector<float>());
  if (x.dtype() == kComplex128) return sizes(x.to_vector<complex128>());
  return sizes(x.to_vector<complex64>());
}

FlatField::FlatField(Ref<const Graph> graph, std::vector<bool> wanted)
    : graph_(std::move(graph)),
      silent_(without_effects(graph_)),
      wanted_(std::move(wanted)),
      size_(graph_->output_aval(0).shape[0]) {
  for (size_t j = 0; j < wanted_.size(); ++j)
    if (wanted_[j]) {
      wanted_avals_.push_back(graph_->input_aval(static_cast<int>(j) + 2));
      num_parameters_ += num_numbers(wanted_avals_.back());
    }
}

const Graph& FlatField::rhs() const {
  return rhs_.get([&] { return graph_; });
}

const Graph* FlatField::jacobian() const {
  return jacobian_.get_if_derivable([&] {
    const Ref<const Graph> tangent = tangent_of(*silent_);
    return trace_closed(
        [&](std::span<const Array> x) {
          Arrays in(x.begin(), x.end());
          std::vector<Access> access(in.size(), Access::uniform());
          in.push_back(eye(size_, {}, 0, kFloat64));
          access.push_back(Access::each());
          return map(tangent, size_, in, access, {Result::each()});
        },
        graph_->input_avals());
  });
}

const SparsityPlan* FlatField::sparsity() const {
  std::call_once(sparsity_once_, [&] {
    std::vector<bool> by_state(static_cast<size_t>(silent_->num_inputs()), false);
    by_state[1] = true;
    const auto places = jacobian_pattern_within(size_ * size_ / 10 + size_, *silent_, by_state);
    if (!places) return;
    sparsity_ = std::make_unique<const SparsityPlan>(
        SparsityPlan::of_jacobian({}, {zeros_of({Shape{size_}, kFloat64})}, {0}, with_diagonal(*places)));
  });
  return sparsity_.get();
}

const Graph* FlatField::sparse_jacobian() const {
  if (!sparsity()) return nullptr;
  return sparse_jacobian_.get_if_derivable([&] {
    return trace_closed(
        [&](std::span<const Array> x) {
          const Fn f = [&](std::span<const Array> y) {
            Arrays in(x.begin(), x.end());
            in[1] = y[0];
            return silent_->call(in);
          };
          return Arrays{sparsity_->jacobian_values(f, {x[1]}, {0})};
        },
        graph_->input_avals());
  });
}

const Graph* FlatField::product() const {
  return product_.get_if_derivable([&] { return tangent_of(*silent_); });
}

const Graph& FlatField::transposed_product() const {
  return transposed_.get([&] {
    std::vector<bool> wanted(static_cast<size_t>(graph_->num_inputs()), false);
    wanted[1] = true;
    return derivatives().vjp(*silent_, {true}, wanted, wanted).graph;
  });
}

const Graph& FlatField::parameter_product() const {
  return parameter_product_.get([&] {
    std::vector<bool> wanted{false, false};
    wanted.insert(wanted.end(), wanted_.begin(), wanted_.end());
    const DerivedGraph d = derivatives().vjp(*silent_, {true}, wanted, wanted);
    return trace_closed(
        [&](std::span<const Array> x) {
          Arrays numbers;
          for (const Array& a : d.graph->call(x)) numbers.push_back(as_numbers(a));
          return Arrays{concatenate(numbers)};
        },
        d.graph->input_avals());
  });
}

Arrays FlatField::parameters(const Array& flat) const {
  const Graph& g = parameters_.get([&] {
    const Avals in{{Shape{num_parameters_}, kFloat64}};
    return trace_closed(
        [&](std::span<const Array> x) {
          Arrays out;
          int64_t at = 0;
          for (const Aval& a : wanted_avals_) {
            const int64_t n = num_numbers(a);
            out.push_back(from_numbers(slice(x[0], {at}, {at + n}, {1}), a));
            at += n;
          }
          return out;
        },
        in);
  });
  return g.run({&flat, 1});
}

}  // namespace hesse::solvers::sundials
