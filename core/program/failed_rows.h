#pragma once
#include <optional>
#include <span>
#include <string>

#include "core/error.h"
#include "core/status.h"

namespace hesse {

/// What went wrong first in some rows, which ran under a FailureScope of their own.
struct FailedRows {
  Failure failure;
  std::string message;
  SourceLine source;
};
inline std::optional<FailedRows> failed_rows(const FailureScope& scope) {
  if (!scope.failed()) return std::nullopt;
  return FailedRows{scope.failure(), scope.message(), scope.source()};
}
/// Reports the first of them as the caller's; rows(i) names the rows of the i-th.
template <class Rows>
void report_first(std::span<const std::optional<FailedRows>> all, Rows rows) {
  for (size_t i = 0; i < all.size(); ++i)
    if (const auto& f = all[i]) {
      report_failure(f->failure, rows(i), f->message);
      return locate_failure(f->source);
    }
}

}  // namespace hesse
