#pragma once
#include <string_view>
#include <vector>

#include "core/graph.h"

/// The arguments that derivatives are taken with respect to, and what the functions return.
namespace hesse {

/// Throws ValueError where none is named, IndexError for one out of range, TypeError where it has no
/// derivative.
void check_argnums(std::string_view function, const Arrays& args, const std::vector<int>& argnums);
/// Arguments at these places.
Arrays chosen(const Arrays& args, const std::vector<int>& argnums);
/// f of the chosen arguments, the others as they are. `f` must outlive it.
Fn restricted(const Fn& f, const Arrays& args, const std::vector<int>& argnums);
/// Throws ValueError and TypeError unless y[0] is a real scalar; `remedy` for other shapes.
void check_scalar(std::string_view function, const Arrays& y,
                  std::string_view remedy = "take sum or mean of it, or use jacobian");
/// f, whose results are checked.
Fn checked_scalar(std::string_view function, Fn f,
                  std::string_view remedy = "take sum or mean of it, or use jacobian");

}  // namespace hesse
