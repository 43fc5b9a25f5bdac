#include "bindings/docs.h"

#include <deque>
#include <string>
#include <string_view>

namespace hesse::python {

const char* text(const Doc& doc, const char* signature) {
  std::string out = std::string(signature) + doc.meaning;
  const auto section = [&](std::string_view title, std::string_view body) {
    if (body.empty()) return;
    while (body.front() == '\n') body.remove_prefix(1);
    out.append("\n\n").append(title).append("\n").append(title.size(), '-').append("\n").append(body);
  };
  const auto optional = [](const char* body) { return body ? std::string(body) : std::string(); };
  std::string parameters;
  for (const char* p : doc.parameters)
    if (p) parameters += (parameters.empty() ? "" : "\n") + std::string(p);
  section("Parameters", parameters);
  section("Returns", optional(doc.returns));
  section("Raises", optional(doc.raises));
  section("Notes", optional(doc.notes));
  section("References", optional(doc.source));
  if (doc.example)
    section("Examples", ">>> import hesse as hs\n" + std::string(doc.example + (*doc.example == '\n')));
  static std::deque<std::string> texts;  // only while the module is imported
  texts.push_back(std::move(out));
  return texts.back().c_str();
}

}  // namespace hesse::python
