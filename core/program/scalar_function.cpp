#include "core/program/scalar_function.h"

#include <algorithm>
#include <cstring>

#include "core/ops.h"
#include "core/program/scalars.h"

namespace hesse {

std::unique_ptr<const ScalarFunction> ScalarFunction::make(const Graph& graph, int64_t lanes, int64_t most) {
  for (const Graph::Equation& eq : graph.equations())
    if (eq.op->has_effect()) return nullptr;
  for (const Aval& a : graph.output_avals())
    if (a.dtype != kFloat64) return nullptr;
  const std::optional<Ref<const Graph>> scalars = scalarised(graph, most);
  if (!scalars || !ScalarCode::can_run(**scalars)) return nullptr;
  return with_code_if_any([&](std::unique_ptr<cpu::EntryCode> code) {
    std::unique_ptr<ScalarFunction> out(new ScalarFunction(lanes, std::move(code)));
    out->inputs_ = graph.input_avals();
    for (const Aval& a : out->inputs_) {
      out->first_.push_back(out->rows_.size());
      for (int64_t k = 0; k < num_elements(a.shape); ++k) out->rows_.push_back(out->frame_.take(a.dtype));
    }
    out->code_ =
        std::make_unique<const ScalarCode>(*scalars, out->rows_, out->frame_, out->machine_code_.get());
    if (out->machine_code_) out->machine_code_->finish();
    out->num_results_ = (*scalars)->outputs().size();
    return out;
  });
}

ScalarFunction::Call::Call(const ScalarFunction& f)
    : f_(f), memory_(std::make_unique<double[]>(static_cast<size_t>(f.frame_.bytes() + 7) / 8)) {
  f.frame_.initialise(frame());
}

void ScalarFunction::Call::set(int input, const Array& x) {
  const auto i = static_cast<size_t>(input);
  require(aval(x) == f_.inputs_[i], "ScalarFunction: input ", input, " is ", describe(x), ", expected ",
          describe(f_.inputs_[i].shape, f_.inputs_[i].dtype));
  const Array entries = x.contiguous() ? x : copy(x);
  const auto* from = static_cast<const char*>(entries.view().data);
  const auto size = static_cast<size_t>(itemsize(x.dtype()));
  for (int64_t k = 0; k < x.size(); ++k) {
    char* const row = frame() + f_.rows_[f_.first_[i] + static_cast<size_t>(k)].offset;
    for (int64_t l = 0; l < f_.lanes(); ++l)
      std::memcpy(row + static_cast<size_t>(l) * size, from + static_cast<size_t>(k) * size, size);
  }
}

void ScalarFunction::Call::set(int input, const double* entries) {
  const auto i = static_cast<size_t>(input);
  const size_t first = f_.first_[i], end = i + 1 < f_.first_.size() ? f_.first_[i + 1] : f_.rows_.size();
  const int64_t lanes = f_.lanes();
  for (size_t k = first; k < end; ++k)
    std::fill_n(reinterpret_cast<double*>(frame() + f_.rows_[k].offset), lanes, entries[k - first]);
}

void ScalarFunction::Call::set(int input, int64_t entry, int64_t lane, double x) {
  const FrameRow& row = f_.rows_[f_.first_[static_cast<size_t>(input)] + static_cast<size_t>(entry)];
  reinterpret_cast<double*>(frame() + row.offset)[lane] = x;
}

void ScalarFunction::Call::get(int64_t lane, double* entries) const {
  for (size_t k = 0; k < f_.num_results_; ++k)
    entries[k] = reinterpret_cast<const double*>(frame() + f_.code_->output(k).offset)[lane];
}

}  // namespace hesse
