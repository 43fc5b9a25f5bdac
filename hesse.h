// Hesse: arrays, one graph of operations, derivatives of any order. This header brings everything.
#pragma once

#include "autodiff/autodiff.h"
#include "core/ops.h"
