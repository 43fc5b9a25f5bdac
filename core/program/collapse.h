#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with linear combinations in the bodies of its maps taken together before what is linear:
///     a (W x) + b (W y) = W (a x + b y),   f x + f y = f (x + y),
/// down to where the terms part, and with multiples of a value made from the value. The derivatives that a
/// differential operator adds up then pass through a network as one: u_t - nu u_xx, or a Laplacian, needs u,
/// the first derivatives and one combination of the others, forwards and backwards ("collapsed" Taylor mode;
/// a forward Laplacian is the best known case: Li et al., "A computational framework for neural network-based
/// variational Monte Carlo with Forward Laplacian", 2024). Done where there are fewer multiply-adds in
/// products afterwards; rounding differs.
Ref<const Graph> collapsed(const Ref<const Graph>& g);

}  // namespace hesse
