#pragma once
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/array.h"

/// Trees of arrays. A tree is an Array; a vector, array, map with string keys, pair, tuple or optional of
/// trees; or a struct that says what it holds:
///
///     struct Linear {
///       Array weight, bias;
///       auto fields() { return hesse::fields("weight", weight, "bias", bias); }
///     };
///
/// Everything else (numbers, options, functions) is static and stays as it is. The names, joined by dots,
/// serve files.
namespace hesse {

/// Named references to the fields of a struct.
template <class... T>
struct Fields {
  std::array<std::string_view, sizeof...(T)> names;
  std::tuple<T&...> values;
};

namespace detail {
template <class Tuple, size_t... I>
auto make_fields(Tuple&& all, std::index_sequence<I...>) {
  return Fields<std::remove_reference_t<std::tuple_element_t<2 * I + 1, std::remove_reference_t<Tuple>>>...>{
      {std::string_view(std::get<2 * I>(all))...}, {std::get<2 * I + 1>(all)...}};
}
template <class T>
concept HasFields = requires(T t) {
  t.fields();
};
template <class T>
concept TupleLike = requires {
  std::tuple_size<T>::value;
};
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_map = false;
template <class T>
inline constexpr bool is_map<std::map<std::string, T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

inline std::string join_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}
}  // namespace detail

/// fields("name", member, "name", member, ...), for a struct's method `fields()`.
template <class... T>
auto fields(T&&... names_and_members) {
  static_assert(sizeof...(T) % 2 == 0, "fields() takes a name before every member");
  return detail::make_fields(std::forward_as_tuple(std::forward<T>(names_and_members)...),
                             std::make_index_sequence<sizeof...(T) / 2>());
}

/// Calls f(path, array) for every array of the tree, in a fixed order; f may assign to it.
template <class Tree, class F>
void for_each_array(Tree& tree, F&& f, const std::string& path = {}) {
  using T = std::remove_const_t<Tree>;
  if constexpr (std::is_same_v<T, Array>) {
    f(path, tree);
  } else if constexpr (detail::HasFields<T>) {
    auto all = const_cast<T&>(tree).fields();
    size_t k = 0;
    std::apply(
        [&](auto&... field) { (for_each_array(field, f, detail::join_path(path, all.names[k++])), ...); },
        all.values);
  } else if constexpr (detail::is_vector<T>) {
    for (size_t i = 0; i < tree.size(); ++i)
      for_each_array(tree[i], f, detail::join_path(path, std::to_string(i)));
  } else if constexpr (detail::is_map<T>) {
    for (auto& [key, value] : tree) for_each_array(value, f, detail::join_path(path, key));
  } else if constexpr (detail::is_optional<T>) {
    if (tree) for_each_array(*tree, f, path);
  } else if constexpr (detail::TupleLike<T>) {
    size_t k = 0;
    std::apply(
        [&](auto&... item) { (for_each_array(item, f, detail::join_path(path, std::to_string(k++))), ...); },
        tree);
  }
}

/// The arrays of a tree.
template <class Tree>
Arrays leaves(const Tree& tree) {
  Arrays result;
  for_each_array(tree, [&](const std::string&, const Array& a) { result.push_back(a); });
  return result;
}

/// Their names: "layers.0.weight".
template <class Tree>
std::vector<std::string> leaf_names(const Tree& tree) {
  std::vector<std::string> result;
  for_each_array(tree, [&](const std::string& path, const Array&) { result.push_back(path); });
  return result;
}

/// The same tree with other arrays. Throws ValueError when their number differs.
template <class Tree>
Tree with_leaves(Tree tree, std::span<const Array> arrays) {
  size_t k = 0;
  for_each_array(tree, [&](const std::string&, Array& a) {
    if (k < arrays.size()) a = arrays[k];
    ++k;
  });
  require(k == arrays.size(), "with_leaves: the tree has ", k, " arrays, ", arrays.size(), " were given");
  return tree;
}

}  // namespace hesse
