#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace hesse {

/// Where the user's program was when an equation was recorded: a file and a line, interned; 0 where nobody
/// knows. Messages of symbols and of programs name it.
using SourceLine = uint32_t;
SourceLine intern_source(std::string_view file, int line);
/// "train.py:12", or "" for 0.
std::string source_text(SourceLine line);
/// " (file:line)", or "" for 0: the end of a message.
std::string at_source(SourceLine line);

/// The line that is being run: that of the innermost SourceScope, else what the host language says.
SourceLine current_source();
/// The host's answer; it must not throw. Returns 0 where it does not know.
void set_source_hook(SourceLine (*hook)());

/// What is recorded while it lives comes from `line`: equations that are applied again, and derivatives of
/// equations. 0 changes nothing.
class SourceScope {
 public:
  explicit SourceScope(SourceLine line);
  ~SourceScope();
  SourceScope(const SourceScope&) = delete;
  SourceScope& operator=(const SourceScope&) = delete;

 private:
  SourceLine outer_;
};

}  // namespace hesse
