#include "core/profile.h"

#include "bindings/bindings.h"

/// Profiles as lists of tuples; python/hesse/_profile.py makes tables and traces of them.
namespace hesse::python {

void init_profile(py::module_& m) {
  m.def("_profile_start", &profile::start);
  m.def("_profile_stop", [] {
    const profile::Profile p = profile::stop();
    py::list events, steps;
    for (const profile::Event& e : p.events)
      events.append(py::make_tuple(e.name, source_text(e.source), e.begin, e.duration, e.bytes, e.thread));
    for (const profile::Step& s : p.steps)
      steps.append(py::make_tuple(s.name, source_text(s.source), s.calls, s.duration));
    return py::make_tuple(events, steps, p.lost);
  });
}

}  // namespace hesse::python
