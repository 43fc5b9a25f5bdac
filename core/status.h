#pragma once
#include <string>
#include <string_view>

#include "core/source.h"

namespace hesse {

/// Kernels never throw on data: they write NaN (zero for an index) and report here. An eager `apply` raises
/// at once as NumericalError or IndexError; a program raises when it ends, naming the op and the first
/// failing example.
enum class Failure { Numerical, Index };
/// Records the first failure of this thread's running kernel; later ones are dropped.
void report_failure(Failure kind, std::string_view op, std::string message);
/// The failure reported since, if any, came from an equation of that line; the innermost caller's word
/// counts.
void locate_failure(SourceLine line);

/// Collects the failures reported on this thread during its lifetime; nests.
class FailureScope {
 public:
  FailureScope();
  ~FailureScope();
  FailureScope(const FailureScope&) = delete;
  FailureScope& operator=(const FailureScope&) = delete;
  bool failed() const { return failed_; }
  Failure failure() const { return kind_; }
  const std::string& message() const { return message_; }
  SourceLine source() const { return source_; }
  /// Throws NumericalError or IndexError with the first message, `context` before it.
  void raise_if_failed(std::string_view context = {}) const;

 private:
  friend void report_failure(Failure, std::string_view, std::string);
  friend void locate_failure(SourceLine);
  bool failed_ = false;
  Failure kind_ = Failure::Numerical;
  std::string message_;
  SourceLine source_ = 0;
  FailureScope* outer_;
};

}  // namespace hesse
