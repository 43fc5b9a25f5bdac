#include "core/program/explain.h"

#include <algorithm>
#include <iomanip>
#include <iterator>

#include "core/allocator.h"
#include "core/ops/map_split.h"
#include "core/program/map_program.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

void add_once(std::vector<std::string>& all, std::string reason) {
  if (std::find(all.begin(), all.end(), reason) == all.end()) all.push_back(std::move(reason));
}

// Whether an equation needs something that is only known when value v is there for all examples: a sum of the
// map that makes it, or what an operation outside maps made of it.
bool waits_for_all(const Graph& g, const Graph::Equation& maker, int v, const Graph::Equation& reader) {
  std::vector<bool> later(g.values().size(), false), same(g.values().size(), false);
  same[at(v)] = true;
  const MapParts& map = *map_parts(*maker.op);
  for (size_t k = 0; k < maker.out.size(); ++k)
    later[at(maker.out[k])] = map.results[k].kind != Result::Kind::Each;
  for (const Graph::Equation& eq : g.equations()) {
    const bool is_view = eq.op->is_view(), reads = &eq == &reader;
    bool needs = false, passes = false;
    for (int x : eq.in) {
      needs = needs || later[at(x)] || (same[at(x)] && !is_view && !reads);
      passes = passes || (same[at(x)] && is_view);
    }
    if (reads) return needs;
    for (int out : eq.out) {
      later[at(out)] = later[at(out)] || needs;
      same[at(out)] = same[at(out)] || passes;
    }
  }
  return false;
}

// Who needs all of value v, which `maker` made; views of it, like x, are followed.
void readers_of(const Graph& g, const Graph::Equation& maker, int v, int x,
                std::vector<std::string>& reasons) {
  if (std::count(g.outputs().begin(), g.outputs().end(), x)) add_once(reasons, "it is returned");
  for (const Graph::Equation& eq : g.equations())
    for (size_t i = 0; i < eq.in.size(); ++i) {
      if (eq.in[i] != x) continue;
      const MapParts* map = map_parts(*eq.op);
      if (!map && eq.op->is_view())
        readers_of(g, maker, v, eq.out[0], reasons);
      else if (!map)
        add_once(reasons, concat(eq.op->name(), " reads it, outside maps"));
      else if (i >= map->access.size())
        add_once(reasons, "it is an index of another map");
      else if (map->access[i].kind == Access::Kind::Gather)
        add_once(reasons, "another map gathers its rows");
      else if (map->access[i].kind == Access::Kind::Uniform)
        add_once(reasons, "every example of another map reads all of it");
      else if (waits_for_all(g, maker, v, eq))
        add_once(reasons, "another map reads it, which needs a sum over all examples first");
      else
        add_once(reasons, "another map reads it, and joining them would not pay");
    }
}

MapReport report_of(const Graph& g, const Graph::Equation& eq, const MapParts& map, std::string inside) {
  MapReport out;
  out.tiling = map_program(*eq.op)->tiling();
  out.inside = std::move(inside);
  out.equations = static_cast<int64_t>(map.body->equations().size());
  const auto n = static_cast<double>(map.n);
  Avals x, y;
  for (size_t i = 0; i < eq.in.size(); ++i) {
    const Aval& a = g.values()[at(eq.in[i])];
    x.push_back(a);
    const bool gathered = i < map.access.size() && map.access[i].kind == Access::Kind::Gather;
    out.read += gathered ? n * bytes_of(map.body->input_aval(static_cast<int>(i))) : bytes_of(a);
  }
  for (size_t k = 0; k < eq.out.size(); ++k) {
    y.push_back(g.values()[at(eq.out[k])]);
    out.written += bytes_of(y.back());
    if (map.results[k].kind != Result::Kind::Each) continue;
    std::vector<std::string> reasons;
    readers_of(g, eq, eq.out[k], eq.out[k], reasons);
    std::string why;
    for (const std::string& r : reasons) why += (why.empty() ? "" : "; ") + r;
    out.stored.push_back({y.back(), why.empty() ? "nothing reads it" : why});
  }
  out.flops = eq.op->flops(x, y);
  return out;
}

void collect(const Graph& g, const std::string& inside, std::vector<MapReport>& out) {
  for (const Graph::Equation& eq : g.equations()) {
    if (const MapParts* map = map_parts(*eq.op)) out.push_back(report_of(g, eq, *map, inside));
    for (const auto& [key, p] : eq.op->params())
      if (const auto* body = std::get_if<Ref<const Graph>>(&p))
        collect(**body, std::string(eq.op->name()), out);
  }
}

// "31.4 Mflop"
std::string counted(double n, const char* what) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T"};
  size_t prefix = 0;
  for (; n >= 1000 && prefix + 1 < std::size(kPrefixes); ++prefix) n /= 1000;
  std::ostringstream out;
  out << std::setprecision(3) << n << ' ' << kPrefixes[prefix] << what;
  return out.str();
}

void print(std::ostream& out, const MapReport& map) {
  out << "map over " << map.tiling.examples << " examples" << (map.inside.empty() ? "" : ", inside ")
      << map.inside;
  if (map.tiling.bytes_per_example == 0)
    out << ": one by one\n";
  else
    out << ": tiles of " << map.tiling.lanes << ", " << map.tiling.bytes_per_example << " bytes an example\n";
  out << "  " << map.equations << " equations, " << counted(map.flops_per_example(), "flop")
      << " an example, " << counted(map.flops, "flop") << " in all; reads " << describe_bytes(map.read)
      << ", writes " << describe_bytes(map.written) << ": " << counted(map.intensity(), "flop")
      << " a byte\n";
  for (const Stored& s : map.stored)
    out << "  stored for all examples: " << describe(s.of.shape, s.of.dtype) << ", "
        << describe_bytes(s.bytes()) << ": " << s.why << '\n';
}

}  // namespace

std::vector<Tiling> tilings(const Graph& program) {
  std::vector<MapReport> maps;
  collect(program, "", maps);
  std::vector<Tiling> out;
  for (const MapReport& m : maps) out.push_back(m.tiling);
  return out;
}

double bytes_of(const Aval& a) { return num_entries(a) * static_cast<double>(itemsize(a.dtype)); }

double Stored::bytes() const { return bytes_of(of); }
double MapReport::flops_per_example() const {
  return tiling.examples ? flops / static_cast<double>(tiling.examples) : 0;
}
double MapReport::intensity() const { return read + written > 0 ? flops / (read + written) : 0; }

Report report(const Graph& program) {
  Report out;
  collect(program, "", out.maps);
  out.flops = program.flops();
  for (const Graph::Equation& eq : program.equations()) {
    if (!map_parts(*eq.op)) ++out.equations_outside;
    if (eq.op->is_view()) continue;
    for (int v : eq.in) out.bytes += bytes_of(program.values()[at(v)]);
    for (int v : eq.out) out.bytes += bytes_of(program.values()[at(v)]);
  }
  return out;
}

std::string explain(const Graph& program) {
  const Report r = report(program);
  std::ostringstream out;
  double in_maps = 0;
  for (const MapReport& map : r.maps) {
    print(out, map);
    if (map.inside.empty()) in_maps += map.flops;
  }
  out << "outside maps: " << r.equations_outside << " equations, " << counted(r.flops - in_maps, "flop")
      << '\n'
      << "in all: " << counted(r.flops, "flop") << ", " << describe_bytes(r.bytes) << " read and written\n";
  return out.str();
}

}  // namespace hesse
