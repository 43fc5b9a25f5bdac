#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/op.h"
#include "core/source.h"

/// Times of what runs, equation by equation, while a profile is taken: of all threads of the process. Without
/// one, an equation pays a load and a branch.
namespace hesse::profile {

/// One equation that ran. Times in nanoseconds since the profile began.
struct Event {
  std::string name;
  SourceLine source = 0;
  int64_t begin = 0, duration = 0;
  int64_t bytes = 0;  ///< of its operands and results
  int thread = 0;
};
/// A step inside a map or a block, summed over tiles and calls.
struct Step {
  std::string name;
  SourceLine source = 0;
  int64_t calls = 0, duration = 0;
};
struct Profile {
  std::vector<Event> events;
  std::vector<Step> steps;
  int64_t lost = 0;  ///< events beyond the limit, which are in no list
};

/// Begins a profile. Throws ValueError while one is being taken.
void start();
/// Ends it. Throws ValueError when there is none.
Profile stop();

bool active();
/// Nanoseconds since the profile began.
int64_t now();
/// Of the entries of arrays.
int64_t bytes_of(const Arrays& arrays);
void add_event(std::string_view name, SourceLine source, int64_t begin, int64_t bytes);
void add_step(std::string_view name, SourceLine source, int64_t duration);

}  // namespace hesse::profile
