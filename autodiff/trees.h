#pragma once
#include <array>
#include <utility>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/tree_functions.h"

/// Derivatives of functions of trees of arrays (core/tree.h), with the names and the order of arguments that
/// they have in Python. A derivative is a function again:
///
///     auto f = [](Array x, Array y) { return sin(x) * y; };
///     Array f_x = grad(f)(0.5, 2.0);
///     Array f_xx = grad(grad(f))(0.5, 2.0);
///     Array f_y = grad<1>(f)(0.5, 2.0);
namespace hesse {
namespace detail {

inline Arrays or_zeros(const MaybeArrays& tangents, const Arrays& like) {
  Arrays out;
  for (size_t k = 0; k < like.size(); ++k) out.push_back(tangents[k] ? *tangents[k] : zeros_like(like[k]));
  return out;
}

/// Arrays and nothing else: integers have no derivative.
inline MaybeArrays inexact_only(const Arrays& xs) {
  MaybeArrays out;
  for (const Array& x : xs) out.push_back(is_inexact(x.dtype()) ? MaybeArray(x) : MaybeArray());
  return out;
}

}  // namespace detail

// gradients ------------------------------------------------------------------------------------------------
/// A function that returns the pair (f(args...), gradient): a tree like the first argument, or like the one
/// whose number is given, or a tuple of them if there are several: value_and_grad<0, 2>(f). f returns a real
/// scalar, or a pair of it and anything else. All arrays in those arguments are floating or complex.
template <int... argnums, class F>
auto value_and_grad(F f) {
  if constexpr (sizeof...(argnums) == 0) {
    return value_and_grad<0>(std::move(f));
  } else {
    return detail::Transformed(std::move(f), [](const auto& flat) {
      std::vector<int> chosen;  // the leaves of those arguments
      std::apply(
          [&](const auto&... args) {
            int argument = 0, leaf = 0;
            const auto add = [&](int count) {
              for (int k = 0; k < count; ++k, ++leaf)
                if (((argument == argnums) || ...)) chosen.push_back(leaf);
              ++argument;
            };
            (add(static_cast<int>(leaves(args).size())), ...);
          },
          flat.args());
      const auto [values, gradients] = value_and_grad(Fn(flat), leaves(flat.args()), chosen);
      auto trees = with_leaves(detail::as_tuple(std::get<argnums>(flat.args())...), gradients);
      if constexpr (sizeof...(argnums) == 1)
        return std::pair(flat.result(values), std::get<0>(std::move(trees)));
      else
        return std::pair(flat.result(values), std::move(trees));
    });
  }
}

/// A function that returns the gradient alone.
template <int... argnums, class F>
auto grad(F f) {
  return detail::Transformed(value_and_grad<argnums...>(std::move(f)), [](const auto& flat) {
    return std::apply(flat.function(), flat.args()).second;
  });
}

// forward and reverse mode ---------------------------------------------------------------------------------
/// f(primals...) and its derivative in the direction of the tangents; what is no floating array has none.
template <class F, class... Args>
auto jvp(const F& f, const std::tuple<Args...>& primals,
         const std::type_identity_t<std::tuple<detail::TreeOf<Args>...>>& tangents) {
  const detail::Flattened flat(
      f, std::apply([](const auto&... arg) { return detail::as_tuple(arg...); }, primals));
  const auto [values, d] = jvp(Fn(flat), leaves(flat.args()), detail::inexact_only(leaves(tangents)));
  return std::pair(flat.result(values), flat.result(detail::or_zeros(d, values)));
}
/// The same for a function of one argument.
template <class F, class Tree>
auto jvp(const F& f, const Tree& primal, const std::type_identity_t<detail::TreeOf<Tree>>& tangent) {
  return jvp(f, detail::as_tuple(primal), detail::as_tuple(tangent));
}

/// f(primals...) and the function from a cotangent of it to the tuple of cotangents of the primals.
template <class F, class... Args>
requires detail::TreeCall<F, Args...>
auto vjp(const F& f, const Args&... primals) {
  const detail::Flattened flat(f, detail::as_tuple(primals...));
  auto [values, pull_back] = vjp(Fn(flat), leaves(flat.args()));
  using Result = typename decltype(flat)::Result;
  auto backwards = [pull_back = std::move(pull_back), args = flat.args()](const Result& cotangent) {
    return with_leaves(args,
                       detail::or_zeros(pull_back(detail::inexact_only(leaves(cotangent))), leaves(args)));
  };
  return std::pair(flat.result(values), std::move(backwards));
}

// higher derivatives ---------------------------------------------------------------------------------------
/// A function that returns the Jacobian of f, from an array of shape t to one of shape s: shape s + t.
template <class F>
requires std::invocable<const F&, const Array&>
auto jacobian(F f, Mode mode = Mode::Auto) {
  return [f = std::move(f), mode](const Array& x) {
    return jacobian(Fn([&](std::span<const Array> a) { return Arrays{f(a[0])}; }), {x}, {0}, mode)
        .at(0)
        .at(0);
  };
}

/// A function that returns the second derivatives of the scalar function f of an array of shape t: t + t.
template <class F>
requires std::invocable<const F&, const Array&>
auto hessian(F f) {
  return [f = std::move(f)](const Array& x) {
    return hessian(Fn([&](std::span<const Array> a) { return Arrays{f(a[0])}; }), {x}, {0}).at(0).at(0);
  };
}

/// The second derivatives of a scalar function of a tree, times a direction.
template <class F, class Tree>
requires detail::TreeCall<F, Tree>
auto hvp(const F& f, const Tree& x, const std::type_identity_t<detail::TreeOf<Tree>>& v) {
  return jvp(grad(f), x, v).second;
}

/// Mixed partial derivatives of a function of scalars, all in one pass of Taylor mode. An order lists
/// argument numbers:
///
///     auto [u0, u_t, u_xx] = partials(u, {t, x}, {{}, {0}, {1, 1}});
template <class F, size_t num_args, size_t num_orders>
auto partials(const F& f, const Array (&args)[num_args], const std::vector<int> (&orders)[num_orders]) {
  const std::tuple trees =
      std::apply([](const auto&... arg) { return detail::as_tuple(arg...); }, std::to_array(args));
  const detail::Flattened flat(f, trees);
  const std::vector<Arrays> values =
      partials(Fn(flat), leaves(trees), std::vector<std::vector<int>>(orders, orders + num_orders));
  std::array<typename decltype(flat)::Result, num_orders> out;
  for (size_t k = 0; k < num_orders; ++k) out[k] = flat.result(values[k]);
  return out;
}

/// The value of a function of an array and the sum of its second derivatives.
template <class F>
requires std::invocable<const F&, const Array&>
auto laplacian(const F& f, const Array& x) {
  const detail::Flattened flat(f, detail::as_tuple(x));
  const auto [values, sums] = laplacian(Fn(flat), x);
  return std::pair(flat.result(values), flat.result(sums));
}

// rules of one's own ---------------------------------------------------------------------------------------
/// f with a rule for its derivative: rule(primals, tangents), tuples both, returns the pair of f's value and
/// its tangent, linear in the tangents. What f and the rule capture must not be differentiated.
template <class F, class Rule>
auto custom_jvp(F f, Rule rule) {
  return detail::Transformed(std::move(f), [rule = std::move(rule)](const auto& flat) {
    const Arrays in = leaves(flat.args());
    const Fn flat_rule = [&](std::span<const Array> x) {
      Arrays tangents;
      for (size_t k = 0, next = in.size(); k < in.size(); ++k)
        tangents.push_back(is_inexact(in[k].dtype()) ? x[next++] : zeros_like(in[k]));
      const auto result =
          rule(with_leaves(flat.args(), x.first(in.size())), with_leaves(flat.args(), tangents));
      Arrays out;
      for (const Array& t : leaves(detail::as_tree(result.second)))
        if (is_inexact(t.dtype())) out.push_back(t);
      return out;
    };
    return flat.result(custom_jvp(Fn(flat), flat_rule, in));
  });
}

/// f, of floating arrays to floating arrays, with a rule for its gradient: forward(args...) returns the pair
/// of f's value and what backward needs, any tree; backward(that, cotangent of the value) the tuple of
/// cotangents of the arguments. Forward mode is derived from it. What the functions capture must not be
/// differentiated.
template <class F, class Forward, class Backward>
auto custom_vjp(F f, Forward forward, Backward backward) {
  return detail::Transformed(
      std::move(f), [forward = std::move(forward), backward = std::move(backward)](const auto& flat) {
        const detail::Flattened flat_forward(forward, flat.args());
        const Fn flat_backward = [&](std::span<const Array> x) {
          const auto& [value, residuals] = flat_forward.structure();
          const size_t kept = leaves(residuals).size();
          return leaves(backward(with_leaves(residuals, x.first(kept)), with_leaves(value, x.subspan(kept))));
        };
        return flat.result(custom_vjp(Fn(flat), Fn(flat_forward), flat_backward, leaves(flat.args())));
      });
}

}  // namespace hesse
