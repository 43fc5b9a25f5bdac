#include "core/program/explain.h"

#include "core/ops/map_split.h"
#include "core/program/map_program.h"

namespace hesse {

std::vector<Tiling> tilings(const Graph& program) {
  std::vector<Tiling> out;
  for (const Graph::Equation& eq : program.equations()) {
    if (const MapProgram* map = map_program(*eq.op)) out.push_back(map->tiling());
    for (const auto& [key, p] : eq.op->params())
      if (const auto* g = std::get_if<Ref<const Graph>>(&p)) {
        const std::vector<Tiling> inner = tilings(**g);
        out.insert(out.end(), inner.begin(), inner.end());
      }
  }
  return out;
}

}  // namespace hesse
