// Hesse: arrays, one graph of operations, derivatives of any order. This header brings everything.
#pragma once

#include "autodiff/autodiff.h"
#include "autodiff/trees.h"
#include "core/io/safetensors.h"
#include "core/nn/init.h"
#include "core/nn/layers.h"
#include "core/nn/tree_optim.h"
#include "core/ops.h"
#include "core/program/program_file.h"
#include "core/sparse.h"
#include "physics/burgers.h"
#include "physics/metrics.h"
#include "physics/sampling.h"
#include "solvers/equation_trees.h"
#include "solvers/interpolation.h"
#include "solvers/ode.h"
#include "solvers/trees.h"
