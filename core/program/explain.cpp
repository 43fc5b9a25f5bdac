#include "core/program/explain.h"

#include <algorithm>
#include <iomanip>
#include <iterator>

#include "core/allocator.h"
#include "core/ops/map_split.h"
#include "core/program/chunked_rows.h"
#include "core/program/grouped_rows.h"
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

// Of what works on rows: what is repeated along them is read once.
template <class R>
R with_work(const Graph& g, const Graph::Equation& eq, const Graph& body, R out) {
  out.equations = static_cast<int64_t>(body.equations().size());
  out.flops = eq.op->flops({}, {});
  const std::vector<int> maker = producers_and_uses(g).first;
  for (int v : eq.in) {
    const int e = maker[at(v)];
    const bool repeated = e >= 0 && g.equations()[at(e)].op->name() == "broadcast_to";
    out.read += bytes_of(g.values()[at(repeated ? g.equations()[at(e)].in[0] : v)]);
  }
  for (int v : eq.out) out.written += bytes_of(g.values()[at(v)]);
  return out;
}

bool works_on_rows(const Op& op) { return chunked_rows(op) || grouped_rows(op); }

void collect(const Graph& g, const std::string& inside, Report& out) {
  for (const Graph::Equation& eq : g.equations()) {
    if (const MapParts* map = map_parts(*eq.op)) out.maps.push_back(report_of(g, eq, *map, inside));
    if (const ChunkedRows* op = chunked_rows(*eq.op))
      out.chunks.push_back(
          with_work(g, eq, *op->parts().chunk, ChunkReport{op->parts().n, op->parts().rows, inside}));
    if (const GroupedRows* op = grouped_rows(*eq.op))
      out.groups.push_back(with_work(g, eq, *op->parts().whole, GroupReport{op->parts().counts, inside}));
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

// What maps and chunks of rows do alike.
template <class R>
void print_work(std::ostream& out, const R& r, int64_t count, const char* one) {
  const double n = static_cast<double>(std::max<int64_t>(count, 1));
  const double moved = r.read + r.written;
  out << "  " << r.equations << " equations, " << counted(r.flops / n, "flop") << one
      << counted(r.flops, "flop") << " in all; reads " << describe_bytes(r.read) << ", writes "
      << describe_bytes(r.written) << ": " << counted(moved > 0 ? r.flops / moved : 0, "flop") << " a byte\n";
}

void print(std::ostream& out, const ChunkReport& chunk) {
  out << "rows of a batch of " << chunk.rows << (chunk.inside.empty() ? "" : ", inside ") << chunk.inside
      << ": " << chunk.at_once << " at a time\n";
  print_work(out, chunk, chunk.rows, " a row, ");
}

void print(std::ostream& out, const GroupReport& r) {
  out << "batch of graphs with rows " << r.rows << (r.inside.empty() ? "" : ", inside ") << r.inside
      << ": a few graphs at a time, if indices part them\n";
  print_work(out, r, *std::max_element(r.rows.begin(), r.rows.end()), " a row, ");
}

void print(std::ostream& out, const MapReport& map) {
  out << "map over " << map.tiling.examples << " examples" << (map.inside.empty() ? "" : ", inside ")
      << map.inside;
  if (map.tiling.bytes_per_example == 0)
    out << ": one by one\n";
  else
    out << ": tiles of " << map.tiling.lanes << ", " << map.tiling.bytes_per_example << " bytes an example\n";
  print_work(out, map, map.tiling.examples, " an example, ");
  for (const Stored& s : map.stored)
    out << "  stored for all examples: " << describe(s.of.shape, s.of.dtype) << ", "
        << describe_bytes(s.bytes()) << ": " << s.why << '\n';
}

}  // namespace

std::vector<Tiling> tilings(const Graph& program) {
  Report all;
  collect(program, "", all);
  std::vector<Tiling> out;
  for (const MapReport& m : all.maps) out.push_back(m.tiling);
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
  collect(program, "", out);
  out.flops = program.flops();
  for (const Graph::Equation& eq : program.equations()) {
    if (!map_parts(*eq.op) && !works_on_rows(*eq.op)) ++out.equations_outside;
    if (eq.op->is_view()) continue;
    for (int v : eq.in) out.bytes += bytes_of(program.values()[at(v)]);
    for (int v : eq.out) out.bytes += bytes_of(program.values()[at(v)]);
  }
  return out;
}

std::string explain(const Graph& program) {
  const Report r = report(program);
  std::ostringstream out;
  double inside = 0;
  for (const MapReport& map : r.maps) {
    print(out, map);
    if (map.inside.empty()) inside += map.flops;
  }
  for (const ChunkReport& chunk : r.chunks) {
    print(out, chunk);
    if (chunk.inside.empty()) inside += chunk.flops;
  }
  for (const GroupReport& groups : r.groups) {
    print(out, groups);
    if (groups.inside.empty()) inside += groups.flops;
  }
  out << (r.chunks.empty() && r.groups.empty() ? "outside maps: " : "outside maps and batches: ")
      << r.equations_outside << " equations, " << counted(r.flops - inside, "flop") << '\n'
      << "in all: " << counted(r.flops, "flop") << ", " << describe_bytes(r.bytes) << " read and written\n";
  return out.str();
}

}  // namespace hesse
