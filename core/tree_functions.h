#pragma once
#include <concepts>
#include <list>
#include <memory>
#include <mutex>
#include <typeindex>
#include <utility>

#include "core/ops/control.h"
#include "core/tree.h"

/// vmap, compile, checkpoint, loops and branches for functions of trees (core/tree.h), as in Python:
///
///     auto f = [](const nn::MLP& net, const Array& x) { return sum(net(x)); };
///     Array y = compile(vmap(f, {std::nullopt, 0}))(net, xs);
///
/// Numbers among the arguments become arrays. What a function takes and returns is decided by its types, so
/// a function of one argument must name the type of it (`Array x`, not `auto x`). Derivatives:
/// autodiff/trees.h.
namespace hesse {
namespace detail {

/// A copy of a tree; a number becomes an array.
template <class T>
auto as_tree(const T& x) {
  if constexpr (std::is_same_v<T, bool>)
    return Array(x);
  else if constexpr (std::is_floating_point_v<T>)
    return Array(static_cast<double>(x));
  else if constexpr (std::is_integral_v<T>)
    return Array(static_cast<int64_t>(x));
  else
    return x;
}
template <class T>
using TreeOf = decltype(as_tree(std::declval<const std::decay_t<T>&>()));

/// std::tuple(args...) would take a pair or tuple to pieces.
template <class... Args>
std::tuple<TreeOf<Args>...> as_tuple(const Args&... args) {
  return std::tuple<TreeOf<Args>...>(as_tree(args)...);
}
template <class F, class... Args>
concept TakesTrees = requires(const F& f, const TreeOf<Args>&... args) {
  f(args...);
};

/// A function of trees as one of flat lists. The structure of its arguments is given, that of its result is
/// noted when it runs.
template <class F, class... Args>
class Flattened {
 public:
  using Result = TreeOf<std::invoke_result_t<const F&, const Args&...>>;

  Flattened(F f, std::tuple<Args...> args) : f_(std::move(f)), args_(std::move(args)) {}

  Arrays operator()(std::span<const Array> x) const {
    Result result = as_tree(std::apply(f_, with_leaves(args_, x)));
    Arrays out = leaves(result);
    // Without its arrays: they would keep the history that they carry.
    *result_ = with_leaves(std::move(result), Arrays(out.size()));
    return out;
  }
  /// The last result with other arrays.
  Result result(std::span<const Array> values) const { return with_leaves(structure(), values); }
  const Result& structure() const { return result_->value(); }
  const std::tuple<Args...>& args() const { return args_; }
  const F& function() const { return f_; }

 private:
  F f_;
  std::tuple<Args...> args_;
  std::shared_ptr<std::optional<Result>> result_ = std::make_shared<std::optional<Result>>();
};

/// What a transform returns: a function that takes what f takes and hands f, flattened, to the transform.
/// (A class and no lambda: it can be asked what it takes.)
template <class F, class Transform>
class Transformed {
 public:
  Transformed(F f, Transform transform) : f_(std::move(f)), transform_(std::move(transform)) {}
  template <class... Args>
  requires TakesTrees<F, Args...>
  auto operator()(const Args&... args) const { return transform_(Flattened(f_, as_tuple(args...))); }

 private:
  F f_;
  Transform transform_;
};

/// A call that is not meant for the functions on flat lists (autodiff/autodiff.h, core/ops/control.h).
template <class F, class... Args>
concept TreeCall =
    !std::conjunction_v<std::bool_constant<sizeof...(Args) == 1>, std::is_same<Args, Arrays>...,
                        std::is_invocable_r<Arrays, const F&, std::span<const Array>>>;
template <class Body, class Carry>
concept TreeLoop = TakesTrees<Body, Array, Carry> &&
    !std::is_invocable_r_v<Arrays, const Body&, const Array&, std::span<const Array>>;

inline Avals avals_of(const Arrays& xs) {
  Avals out;
  out.reserve(xs.size());
  for (const Array& x : xs) out.push_back(aval(x));
  return out;
}

}  // namespace detail

// maps and calls -------------------------------------------------------------------------------------------
/// A function that applies f, written for one example, to many at once. in_axes[i] is the axis of argument i
/// (of all arrays in it) that counts the examples, nullopt: it is the same for all; by default axis 0 of
/// all. In the result the examples are along out_axis.
template <class F>
auto vmap(F f, MapAxes in_axes = {}, int64_t out_axis = 0) {
  return detail::Transformed(std::move(f), [in_axes = std::move(in_axes), out_axis](const auto& flat) {
    return std::apply(
        [&](const auto&... args) {
          require(in_axes.empty() || in_axes.size() == sizeof...(args), "vmap: in_axes has ", in_axes.size(),
                  " entries for ", sizeof...(args), " argument(s)");
          MapAxes axes;
          size_t k = 0;
          (axes.resize(axes.size() + leaves(args).size(), in_axes.empty() ? 0 : in_axes[k++]), ...);
          return flat.result(vmap(Fn(flat), leaves(flat.args()), axes, MapAxes{out_axis}));
        },
        flat.args());
  });
}

/// f, which derivatives run again instead of keeping what it computed.
template <class F>
auto checkpoint(F f) {
  return detail::Transformed(
      std::move(f), [](const auto& flat) { return flat.result(checkpoint(Fn(flat), leaves(flat.args()))); });
}

namespace detail {

/// The recorded programs of a compiled function.
class Programs {
 public:
  template <class FlatF>
  auto operator()(const FlatF& flat) const {
    const Arrays in = leaves(flat.args());
    Program wanted{typeid(FlatF), leaf_names(flat.args()), avals_of(in), default_dtype(), {}, {}};
    if (const Program* p = find(wanted)) {
      using Result = typename FlatF::Result;
      return with_leaves(*std::static_pointer_cast<const Result>(p->structure), p->compiled(in));
    }
    const Compiled compiled = compile(Fn(flat), wanted.avals);
    if (compiled.captures.empty()) {
      wanted.compiled = compiled;
      wanted.structure = std::make_shared<const typename FlatF::Result>(flat.structure());
      const std::lock_guard lock(shared_->mutex);
      shared_->known.push_back(std::move(wanted));
    }
    return flat.result(compiled(in));
  }

 private:
  struct Program {
    std::type_index type;
    std::vector<std::string> names;
    Avals avals;
    DType dtype;
    Compiled compiled;
    std::shared_ptr<const void> structure;
  };
  struct Shared {
    std::mutex mutex;
    std::list<Program> known;  // a list never moves what it holds
  };

  const Program* find(const Program& wanted) const {
    const std::lock_guard lock(shared_->mutex);
    for (const Program& p : shared_->known)
      if (p.type == wanted.type && p.avals == wanted.avals && p.dtype == wanted.dtype &&
          p.names == wanted.names)
        return &p;
    return nullptr;
  }
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace detail

/// f, recorded once for every list of argument types, names, shapes and dtypes; later calls run the graph
/// without calling f. What is no array (in f's captures and in the trees: sizes, activations) and the arrays
/// that f captures are those of the recording: pass what changes as an argument. Where a captured array is
/// being differentiated, f is recorded at every call. Threads may share it.
template <class F>
auto compile(F f) {
  return detail::Transformed(std::move(f), detail::Programs());
}

// loops and branches ---------------------------------------------------------------------------------------
/// f(carry, x) returns the pair (carry, y); it is called with every slice along axis 0 of the arrays in xs.
/// Returns the last carry and the ys, stacked.
template <class F, class Carry, class Xs>
requires detail::TakesTrees<F, Carry, Xs>
auto scan(const F& f, const Carry& carry, const Xs& xs, bool reverse = false) {
  const detail::Flattened flat(f, detail::as_tuple(carry, xs));
  const auto& [init, slices] = flat.args();
  return flat.result(scan(Fn(flat), leaves(init), leaves(slices), {}, reverse));
}
/// The same for f(carry), `length` times.
template <class F, class Carry>
requires detail::TakesTrees<F, Carry>
auto scan(const F& f, const Carry& carry, int64_t length) {
  const detail::Flattened flat(f, detail::as_tuple(carry));
  return flat.result(scan(Fn(flat), leaves(flat.args()), {}, length));
}

/// carry = body(carry) while condition(carry), a bool scalar. Differentiable forwards and backwards.
template <class C, class B, class Carry>
requires detail::TreeCall<B, Carry>
auto while_loop(const C& condition, const B& body, const Carry& init) {
  const detail::Flattened test(condition, detail::as_tuple(init));
  const detail::Flattened flat(body, detail::as_tuple(init));
  return flat.result(while_loop(Fn(test), Fn(flat), leaves(flat.args())));
}

/// carry = body(i, carry) for i = lower, ..., upper - 1.
template <class B, class Carry>
requires detail::TreeLoop<B, Carry>
auto fori_loop(const Array& lower, const Array& upper, const B& body, const Carry& init) {
  const detail::Flattened flat(body, detail::as_tuple(lower, init));
  const auto flat_body = [&](const Array& i, std::span<const Array> x) {
    Arrays all{i};
    all.insert(all.end(), x.begin(), x.end());
    return flat(all);
  };
  return flat.result(fori_loop(lower, upper, flat_body, leaves(std::get<1>(flat.args()))));
}

/// if_true(operands...) if the predicate holds, if_false(operands...) otherwise; only the chosen one runs.
/// Both are recorded and must return the same types, shapes and dtypes.
template <class T, class E, class... Operands>
requires detail::TreeCall<T, Operands...>
auto cond(const Array& predicate, const T& if_true, const E& if_false, const Operands&... operands) {
  const detail::Flattened yes(if_true, detail::as_tuple(operands...));
  const detail::Flattened no(if_false, detail::as_tuple(operands...));
  static_assert(std::is_same_v<typename decltype(yes)::Result, typename decltype(no)::Result>,
                "cond: both branches must return the same type");
  return yes.result(cond(predicate, Fn(yes), Fn(no), leaves(yes.args())));
}

}  // namespace hesse
