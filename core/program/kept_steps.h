#pragma once
#include "core/graph.h"

namespace hesse {

/// The program without loops that run a second time, on the way back: reverse mode takes the steps of a scan
/// again, from the carries that entered them, and with them every while_loop inside, whose steps it needs one
/// by one. Where a step of such a loop is small, the scan forwards keeps all of them instead, and the scan
/// backwards takes them from there (scan_op, core/ops/loop.h).
///
/// A solution at many times is such a scan, whose loops are the steps of the solver.
Ref<const Graph> with_kept_steps(const Ref<const Graph>& g);

}  // namespace hesse
