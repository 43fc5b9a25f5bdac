#include "core/program/program_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <deque>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/cpu/assign.h"
#include "core/io/atomic_file.h"
#include "core/op_table.h"

namespace hesse {
namespace {

static_assert(std::endian::native == std::endian::little, "files of programs are little-endian");

using Json = nlohmann::ordered_json;

constexpr std::array<char, 8> kMagic{'\x89', 'H', 'e', 's', 's', 'e', '\r', '\n'};
constexpr uint32_t kFormat = 1;

/// What comes before the text.
struct Head {
  std::array<char, 8> magic = kMagic;
  uint32_t format = kFormat, zero = 0;
  uint64_t text = 0, data = 0, checksum = 0;
};
static_assert(sizeof(Head) == 40);

std::span<const std::byte> bytes_of(const void* data, size_t n) {
  return {static_cast<const std::byte*>(data), n};
}

/// Every step is a bijection of the state, so one changed byte always changes the result.
struct Fnv1a {
  uint64_t state = 0xcbf29ce484222325u;
  void add(std::span<const std::byte> bytes) {
    for (const std::byte b : bytes) state = (state ^ static_cast<uint64_t>(b)) * 0x100000001b3u;
  }
};
uint64_t checksum(const Head& head, std::string_view text, std::span<const std::byte> data) {
  Fnv1a sum;
  sum.add(bytes_of(&head, offsetof(Head, checksum)));
  sum.add(bytes_of(text.data(), text.size()));
  sum.add(data);
  return sum.state;
}

// Constants whose entries are many begin at a cache line.
constexpr uint64_t aligned(uint64_t at, uint64_t bytes) {
  const uint64_t to = bytes >= 1024 ? 64 : 16;
  return (at + to - 1) / to * to;
}

Json json_of(const Dims& d) { return d.vec(); }
Json json_of(const Aval& a) { return Json::array({std::string(name(a.dtype)), json_of(a.shape)}); }
// Numbers that JSON lacks are texts.
Json json_of(double v) {
  if (std::isfinite(v)) return v;
  return {{"float", std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf"}};
}

// saving
// ----------------------------------------------------------------------------------------------------------

class Writer {
 public:
  explicit Writer(const SavedProgram& program) : program_(program) {}

  void write(const std::filesystem::path& path) {
    const size_t main = graph(*program_.graph);
    Json content = {{"library", HESSE_VERSION}, {"name", program_.name},   {"notes", program_.notes},
                    {"program", main},          {"constants", constants_}, {"graphs", graphs_}};
    std::string text;
    try {
      text = content.dump();
    } catch (const nlohmann::json::exception&) {
      throw ValueError(
          concat("save_program: ", program_.name, ": a name, a note or a parameter is not valid UTF-8"));
    }
    Head head;
    head.text = text.size();
    head.data = data_.size();
    head.checksum = checksum(head, text, data_);
    io::AtomicFile file(path);
    file.write(bytes_of(&head, sizeof head));
    file.write(bytes_of(text.data(), text.size()));
    file.write(data_);
    file.commit();
  }

 private:
  /// The place of a graph in the list; those it holds come before it.
  size_t graph(const Graph& g) {
    if (const auto it = known_graphs_.find(&g); it != known_graphs_.end()) return it->second;
    Json values = Json::array(), constants = Json::array(), equations = Json::array();
    for (const Aval& a : g.values()) values.push_back(json_of(a));
    for (const auto& [v, a] : g.constants()) constants.push_back({v, constant(a)});
    for (const Graph::Equation& eq : g.equations()) equations.push_back(equation(eq));
    graphs_.push_back({{"inputs", g.num_inputs()},
                       {"values", values},
                       {"constants", constants},
                       {"equations", equations},
                       {"outputs", g.outputs()}});
    return known_graphs_.emplace(&g, graphs_.size() - 1).first->second;
  }

  Json equation(const Graph::Equation& eq) {
    Json params = Json::array();
    std::string label;
    for (const auto& [key, p] : eq.op->params()) {
      if (const auto* text = std::get_if<std::string>(&p)) label = concat(" \"", *text, "\"");
      params.push_back({key, std::visit([&](const auto& v) { return json_of_param(v); }, p)});
    }
    require<TypeError>(is_listed_op(eq.op->name()), "save_program: ", program_.name, " holds the op ",
                       eq.op->name(), label, at_source(eq.source),
                       ", which is code and not data, so no file can hold it; take it out of the function "
                       "that is saved, or list your own op with register_ops");
    Json out = {{"op", eq.op->name()}, {"params", params}, {"in", eq.in}, {"out", eq.out}};
    if (eq.source) out["line"] = source_text(eq.source);
    return out;
  }

  Json json_of_param(bool v) { return v; }
  Json json_of_param(int64_t v) { return v; }
  Json json_of_param(double v) { return json_of(v); }
  Json json_of_param(const std::string& v) { return v; }
  Json json_of_param(const Dims& v) { return json_of(v); }
  Json json_of_param(DType v) { return {{"dtype", name(v)}}; }
  Json json_of_param(const Ref<const Graph>& v) { return {{"graph", graph(*v)}}; }
  Json json_of_param(const std::vector<std::string>& v) { return {{"texts", v}}; }

  /// The place of a constant in the list. An axis along which it is uniform is stored once.
  size_t constant(const Array& a) {
    const View v = a.view();
    const auto key = std::tuple(static_cast<const void*>(v.data), v.dtype, v.shape.vec(), v.strides.vec());
    if (const auto it = known_constants_.find(key); it != known_constants_.end()) return it->second;
    View part = v;
    for (size_t i = 0; i < part.shape.size(); ++i)
      if (part.strides[i] == 0 && part.shape[i] > 1) part.shape[i] = 1;
    const Array stored = Array::uninitialized(part.shape, part.dtype);
    cpu::assign(part, stored.view());
    const auto bytes = static_cast<uint64_t>(stored.size() * itemsize(part.dtype));
    const uint64_t begin = aligned(data_.size(), bytes);
    data_.resize(begin + bytes);
    if (bytes) std::memcpy(data_.data() + begin, stored.view().data, bytes);
    constants_.push_back(
        {{"dtype", name(v.dtype)}, {"shape", v.shape.vec()}, {"stored", part.shape.vec()}, {"begin", begin}});
    return known_constants_.emplace(key, constants_.size() - 1).first->second;
  }

  const SavedProgram& program_;
  Json graphs_ = Json::array(), constants_ = Json::array();
  std::vector<std::byte> data_;
  std::map<const Graph*, size_t> known_graphs_;
  std::map<std::tuple<const void*, DType, std::vector<int64_t>, std::vector<int64_t>>, size_t>
      known_constants_;
};

// loading
// ----------------------------------------------------------------------------------------------------------

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {}

  SavedProgram read() {
    const std::string text = read_bytes();
    Json content;
    try {
      content = Json::parse(text);
    } catch (const nlohmann::json::exception& e) {
      fail("its text is not valid JSON: ", e.what());
    }
    // What follows was written by save_program, as the checksum says; wrong types are defects of the writer.
    try {
      for (const Json& c : content.at("constants")) constants_.push_back(constant(c));
      for (const Json& g : content.at("graphs")) graphs_.push_back(graph(g));
      SavedProgram out;
      out.graph = graph_at(content.at("program"));
      out.name = content.at("name").get<std::string>();
      out.library = content.at("library").get<std::string>();
      out.notes = content.at("notes").get<std::map<std::string, std::string>>();
      return out;
    } catch (const nlohmann::json::exception& e) {
      fail("an entry is missing or of the wrong type: ", e.what());
    } catch (const FormatError&) {
      throw;
    } catch (const Error& e) {
      fail(e.what());
    }
  }

 private:
  template <class... T>
  [[noreturn]] void fail(const T&... parts) const {
    throw FormatError(concat("load_program: ", path_.string(), ": ", parts...));
  }
  template <class... T>
  void check(bool ok, const T&... parts) const {
    if (!ok) fail(parts...);
  }

  /// The text; the data go to data_.
  std::string read_bytes() {
    std::error_code error;
    const auto status = std::filesystem::status(path_, error);
    require<FileNotFound>(std::filesystem::exists(status), "load_program: there is no file ", path_.string());
    require<FileError>(std::filesystem::is_regular_file(status), "load_program: ", path_.string(),
                       " is not a regular file");
    std::ifstream file(path_, std::ios::binary);
    require<FileError>(file.is_open(), "load_program: cannot open ", path_.string(), " for reading");
    const uint64_t size = std::filesystem::file_size(path_);
    const auto read = [&](void* to, uint64_t bytes) {
      file.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
      check(static_cast<uint64_t>(file.gcount()) == bytes, "truncated while it was read");
    };
    Head head;
    check(size >= sizeof head, "truncated: ", size, " bytes, and the head alone takes ", sizeof head);
    read(&head, sizeof head);
    check(head.magic == kMagic,
          "it is no saved program: it does not begin as one; save one with save_program");
    check(head.format == kFormat, "it has format version ", head.format, ", this library (", HESSE_VERSION,
          ") reads version ", kFormat, "; save it again with the library that loads it");
    const uint64_t rest = size - sizeof head;
    check(head.text <= rest && head.data <= rest - head.text, "truncated: ", head.text, " + ", head.data,
          " bytes announced, ", rest, " left in the file");
    check(head.text + head.data == rest, rest - head.text - head.data, " bytes follow its end");
    std::string text(head.text, '\0');
    read(text.data(), head.text);
    data_ = Buffer::allocate(std::max<uint64_t>(head.data, 1));
    bytes_ = head.data;
    read(data_->data(), head.data);
    check(checksum(head, text, bytes_of(data_->data(), head.data)) == head.checksum,
          "it was damaged: its checksum does not fit its content");
    return text;
  }

  static Shape shape_of(const Json& j) { return Shape(j.get<std::vector<int64_t>>()); }
  static Aval aval_of(const Json& j) {
    return {shape_of(j.at(1)), dtype_from_name(j.at(0).get<std::string>())};
  }

  Array constant(const Json& j) const {
    const DType dtype = dtype_from_name(j.at("dtype").get<std::string>());
    const Shape shape = shape_of(j.at("shape")), stored = shape_of(j.at("stored"));
    const auto begin = j.at("begin").get<uint64_t>();
    const auto item = static_cast<uint64_t>(itemsize(dtype));
    check(shape.size() == stored.size(), "a constant has two numbers of axes");
    uint64_t count = 1;
    for (size_t i = 0; i < shape.size(); ++i) {
      check(stored[i] >= 0 && (stored[i] == shape[i] || (stored[i] == 1 && shape[i] > 1)),
            "a constant of shape ", shape, " is stored with shape ", stored);
      check(!__builtin_mul_overflow(count, static_cast<uint64_t>(stored[i]), &count),
            "the size of a constant overflows");
    }
    uint64_t bytes = 0;
    check(!__builtin_mul_overflow(count, item, &bytes) && begin <= bytes_ && bytes <= bytes_ - begin &&
              begin % item == 0,
          "a constant lies outside the data");
    Strides strides(shape.size(), 0);
    int64_t step = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      strides[i] = stored[i] == shape[i] ? step : 0;
      step *= stored[i];
    }
    return {shape, std::move(strides), static_cast<int64_t>(begin / item), dtype, data_};
  }

  const Ref<const Graph>& graph_at(const Json& j) const {
    const auto i = j.get<size_t>();
    check(i < graphs_.size(), "graph ", i, " is not there before it is used");
    return graphs_[i];
  }

  Param param(const Json& j) const {
    if (j.is_boolean()) return j.get<bool>();
    if (j.is_number_integer()) return j.get<int64_t>();
    if (j.is_number_float()) return j.get<double>();
    if (j.is_string()) return j.get<std::string>();
    if (j.is_array()) return shape_of(j);
    if (j.contains("graph")) return graph_at(j.at("graph"));
    if (j.contains("dtype")) return dtype_from_name(j.at("dtype").get<std::string>());
    if (j.contains("texts")) return j.at("texts").get<std::vector<std::string>>();
    const auto text = j.at("float").get<std::string>();
    const double inf = std::numeric_limits<double>::infinity();
    return text == "nan" ? std::numeric_limits<double>::quiet_NaN() : text == "inf" ? inf : -inf;
  }

  Ref<const Graph> graph(const Json& j) const {
    std::vector<Aval> values;
    for (const Json& v : j.at("values")) values.push_back(aval_of(v));
    const auto value = [&](int v) -> const Aval& {
      check(v >= 0 && static_cast<size_t>(v) < values.size(), "value ", v, " is not there");
      return values[static_cast<size_t>(v)];
    };
    std::vector<std::pair<int, Array>> constants;
    for (const Json& c : j.at("constants")) {
      const auto v = c.at(0).get<int>();
      const auto k = c.at(1).get<size_t>();
      check(k < constants_.size(), "constant ", k, " is not there");
      check(aval(constants_[k]) == value(v), "constant ", k, " is not of its value's shape and dtype");
      constants.emplace_back(v, constants_[k]);
    }
    std::vector<Graph::Equation> equations;
    for (const Json& e : j.at("equations")) {
      std::deque<std::string> keys;
      Params params;
      for (const Json& p : e.at("params"))
        params.emplace_back(keys.emplace_back(p.at(0).get<std::string>()), param(p.at(1)));
      Graph::Equation eq;
      const auto op = e.at("op").get<std::string>();
      eq.op = make_listed_op(op, params);
      eq.in = e.at("in").get<std::vector<int>>();
      eq.out = e.at("out").get<std::vector<int>>();
      if (e.contains("line")) eq.source = source_of(e.at("line").get<std::string>());
      Avals in, out;
      for (const int v : eq.in) in.push_back(value(v));
      for (const int v : eq.out) out.push_back(value(v));
      check(eq.op->infer(in) == out, "op ", op, " does not give the shapes and dtypes that are stated");
      equations.push_back(std::move(eq));
    }
    return Graph::assemble(j.at("inputs").get<int>(), std::move(values), std::move(constants),
                           std::move(equations), j.at("outputs").get<std::vector<int>>());
  }

  static SourceLine source_of(const std::string& text) {
    const size_t colon = text.rfind(':');
    int line = 0;
    if (colon == std::string::npos) return 0;
    const char* const end = text.data() + text.size();
    if (std::from_chars(text.data() + colon + 1, end, line).ptr != end) return 0;
    return intern_source(std::string_view(text).substr(0, colon), line);
  }

  std::filesystem::path path_;
  Ref<Buffer> data_;
  uint64_t bytes_ = 0;
  Arrays constants_;
  std::vector<Ref<const Graph>> graphs_;
};

}  // namespace

Ref<const Graph> with_constants(const Ref<const Graph>& g, const Arrays& last) {
  if (last.empty()) return g;
  const int n = g->num_inputs() - static_cast<int>(last.size());
  std::vector<std::pair<int, Array>> constants;
  for (size_t i = 0; i < last.size(); ++i)
    constants.emplace_back(n + static_cast<int>(i), last[i].materialised());
  constants.insert(constants.end(), g->constants().begin(), g->constants().end());
  return Graph::assemble(n, g->values(), std::move(constants), g->equations(), g->outputs());
}

void save_program(const std::filesystem::path& path, const SavedProgram& program) {
  Writer(program).write(path);
}

void save_program(const std::filesystem::path& path, const Compiled& program, const std::string& name) {
  for (const Array& a : program.captures)
    require<TraceError>(is_constant(a), "save_program: ", name, " uses an outside array ", describe(a),
                        " that is being differentiated or mapped; pass it as an argument");
  save_program(path, {with_constants(program.graph, program.captures), name, {}, {}});
}

SavedProgram read_program(const std::filesystem::path& path) { return Reader(path).read(); }

Compiled load_program(const std::filesystem::path& path) { return compile(read_program(path).graph); }

}  // namespace hesse
