#include "core/source.h"

#include <atomic>
#include <map>
#include <mutex>
#include <vector>

namespace hesse {
namespace {

std::atomic<SourceLine (*)()> g_hook{nullptr};
thread_local SourceLine t_line = 0;

struct Table {
  std::mutex mutex;
  std::map<std::pair<std::string, int>, SourceLine> ids;
  std::vector<const std::pair<const std::pair<std::string, int>, SourceLine>*> entries;
};
Table& table() {
  static auto* const t = new Table;  // never destroyed: messages may be made while the process ends
  return *t;
}

}  // namespace

SourceLine intern_source(std::string_view file, int line) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  const auto next = static_cast<SourceLine>(t.entries.size() + 1);
  const auto [it, added] = t.ids.emplace(std::pair(std::string(file), line), next);
  if (added) t.entries.push_back(&*it);
  return it->second;
}

std::string source_text(SourceLine line) {
  if (line == 0) return {};
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  const auto& [file, number] = t.entries[line - 1]->first;
  return file + ":" + std::to_string(number);
}

std::string at_source(SourceLine line) { return line ? " (" + source_text(line) + ")" : ""; }

SourceLine current_source() {
  if (t_line) return t_line;
  auto* const hook = g_hook.load(std::memory_order_relaxed);
  return hook ? hook() : 0;
}
void set_source_hook(SourceLine (*hook)()) { g_hook.store(hook); }

SourceScope::SourceScope(SourceLine line) : outer_(t_line) {
  if (line) t_line = line;
}
SourceScope::~SourceScope() { t_line = outer_; }

}  // namespace hesse
