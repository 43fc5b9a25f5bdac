#include "core/status.h"

#include "core/error.h"

namespace hesse {
namespace {
thread_local FailureScope* t_scope = nullptr;
}

FailureScope::FailureScope() : outer_(t_scope) { t_scope = this; }
FailureScope::~FailureScope() { t_scope = outer_; }

void report_failure(Failure kind, std::string_view op, std::string message) {
  if (!t_scope || t_scope->failed_) return;
  t_scope->failed_ = true;
  t_scope->kind_ = kind;
  t_scope->message_ = concat(op, ": ", message);
}

void locate_failure(SourceLine line) {
  if (t_scope && t_scope->failed_ && !t_scope->source_) t_scope->source_ = line;
}

void FailureScope::raise_if_failed(std::string_view context) const {
  if (!failed_) return;
  const std::string text = concat(context, message_, at_source(source_));
  if (kind_ == Failure::Index) throw IndexError(text);
  throw NumericalError(text);
}

}  // namespace hesse
