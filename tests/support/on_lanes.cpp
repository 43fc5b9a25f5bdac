// The C++ tests map few examples, which would run one by one: they are there to test tiles.
#include "core/program/map_cost.h"

namespace {

[[maybe_unused]] const bool on_lanes = [] {
  hesse::set_run_examples(hesse::RunExamples::OnLanes);
  return true;
}();

}  // namespace
