#include "core/op_table.h"

#include <limits>
#include <map>
#include <mutex>
#include <string>

#include "core/graph.h"

namespace hesse {
namespace {

class Table {
 public:
  Table() {
    // Called by name, so that a linker that takes only what is used of a static library takes them.
    for (OpFamily (*family)() : {families::arithmetic,
                                 families::calls,
                                 families::comparison,
                                 families::complex_numbers,
                                 families::conditionals,
                                 families::conversion,
                                 families::convolution,
                                 families::copies,
                                 families::creation,
                                 families::extrema_positions,
                                 families::fourier,
                                 families::gather,
                                 families::joins,
                                 families::lu,
                                 families::maps,
                                 families::powers,
                                 families::products,
                                 families::qr,
                                 families::random_numbers,
                                 families::reductions,
                                 families::rounding,
                                 families::running_reductions,
                                 families::scans,
                                 families::segments,
                                 families::sparse_products,
                                 families::slices,
                                 families::sorting,
                                 families::special,
                                 families::spectral,
                                 families::transcendental,
                                 families::triangular,
                                 families::updates,
                                 families::views,
                                 families::while_loops})
      add(family());
  }
  void add(OpFamily family) {
    const std::lock_guard lock(mutex_);
    for (OpEntry& e : family) {
      require(!known_.count(e.name), "op table: two ops are named ", e.name);
      known_.emplace(std::string(e.name), std::move(e.make));
    }
  }
  const std::function<OpRef(const ReadParams&)>* find(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto it = known_.find(name);
    return it == known_.end() ? nullptr : &it->second;  // entries stay where they are
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::function<OpRef(const ReadParams&)>, std::less<>> known_;
};

Table& table() {
  static Table instance;
  return instance;
}

}  // namespace

ReadParams::Value::operator int() const {
  const int64_t value = *this;
  require(value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max(), "parameter ",
          key_, " is ", value, ", out of range");
  return static_cast<int>(value);
}

ReadParams::Value ReadParams::operator[](std::string_view key) const {
  for (const auto& [k, p] : params_)
    if (k == key) return {key, p};
  throw ValueError(concat("parameter ", key, " is missing"));
}

bool ReadParams::has(std::string_view key) const {
  for (const auto& [k, p] : params_)
    if (k == key) return true;
  return false;
}

std::vector<Ref<const Graph>> ReadParams::graphs(std::string_view key) const {
  std::vector<Ref<const Graph>> out;
  for (const auto& [k, p] : params_)
    if (k == key) out.push_back(Value(k, p));
  return out;
}

void register_ops(OpFamily family) { table().add(std::move(family)); }

bool is_listed_op(std::string_view name) { return table().find(name) != nullptr; }

OpRef make_listed_op(std::string_view name, const Params& params) {
  const auto* make = table().find(name);
  require(make != nullptr, "there is no op ", name);
  const OpRef op = (*make)(ReadParams(params));
  require(op->name() == name, "op ", name, " was made as ", op->name());
  return op;
}

}  // namespace hesse
