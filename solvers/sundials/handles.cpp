#include "solvers/sundials/handles.h"

#include <atomic>

#include "solvers/cvode.h"

namespace hesse::solvers {
namespace {
std::atomic<int64_t> g_live{0};
}

int64_t live_sundials_objects() { return g_live.load(); }

namespace sundials {

void count_objects(int64_t change) { g_live.fetch_add(change); }

Context make_context() {
  SUNContext context = nullptr;
  if (SUNContext_Create(nullptr, &context) != 0) throw std::bad_alloc();
  return Context(context);
}

Vector make_vector(int64_t length, const Context& context) {
  return Vector(N_VNew_Serial(length, context.get()));
}

}  // namespace sundials
}  // namespace hesse::solvers
