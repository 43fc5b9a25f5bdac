#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "core/op.h"

/// Ops by name: how a program that was saved gets its ops again. A family lists its ops beside their classes,
/// a line each.
namespace hesse {

/// Parameters that were read from somewhere: by name, as the type that is asked for. Throws ValueError where
/// one is missing or of another type.
class ReadParams {
 public:
  explicit ReadParams(const Params& params) : params_(params) {}
  /// Converts to whatever a constructor takes.
  class Value {
   public:
    template <class T>
    requires(std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, double> ||
             std::is_same_v<T, std::string> || std::is_same_v<T, Dims> || std::is_same_v<T, DType> ||
             std::is_same_v<T, Ref<const Graph>>)
    operator T() const {  // NOLINT: that is what it is for
      const T* value = std::get_if<T>(&param_);
      require(value != nullptr, "parameter ", key_, " is of another type");
      return *value;
    }
    operator int() const;  // NOLINT

   private:
    friend class ReadParams;
    Value(std::string_view key, const Param& param) : key_(key), param_(param) {}
    std::string_view key_;
    const Param& param_;
  };
  Value operator[](std::string_view key) const;
  bool has(std::string_view key) const;
  /// All graphs of that name, in order.
  std::vector<Ref<const Graph>> graphs(std::string_view key) const;

 private:
  const Params& params_;
};

/// An op that can be made from its parameters.
struct OpEntry {
  std::string_view name;
  std::function<OpRef(const ReadParams&)> make;
};
using OpFamily = std::vector<OpEntry>;

/// The entry of a parameterless op.
template <class T>
OpEntry listed() {
  return {the<T>()->name(), [](const ReadParams&) { return the<T>(); }};
}
/// That of an op whose constructor takes the parameters of these names, in this order.
template <class T, class... Key>
OpEntry listed(std::string_view name, Key... keys) {
  return {name, [keys...](const ReadParams& p) { return make_op<T>(p[keys]...); }};
}

/// The families of core, one for each file of core/ops that has op classes.
namespace families {
OpFamily arithmetic();
OpFamily calls();
OpFamily comparison();
OpFamily complex_numbers();
OpFamily conditionals();
OpFamily conversion();
OpFamily convolution();
OpFamily copies();
OpFamily creation();
OpFamily extrema_positions();
OpFamily fourier();
OpFamily gather();
OpFamily joins();
OpFamily lu();
OpFamily maps();
OpFamily powers();
OpFamily products();
OpFamily qr();
OpFamily random_numbers();
OpFamily reductions();
OpFamily rounding();
OpFamily running_reductions();
OpFamily scans();
OpFamily segments();
OpFamily slices();
OpFamily sorting();
OpFamily sparse_products();
OpFamily special();
OpFamily spectral();
OpFamily transcendental();
OpFamily triangular();
OpFamily updates();
OpFamily views();
OpFamily while_loops();
}  // namespace families

/// Adds ops from above core (autodiff does), or a program's own. Throws ValueError where a name is taken.
void register_ops(OpFamily family);
/// The op of that name with these parameters. Throws ValueError for a name that nobody listed and for
/// parameters that do not fit.
OpRef make_listed_op(std::string_view name, const Params& params);
/// Whether ops of that name can be made again.
bool is_listed_op(std::string_view name);

}  // namespace hesse
