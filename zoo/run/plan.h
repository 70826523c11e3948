// Plan: what a training run will need, from the same code run on `meta`.
#pragma once
#include "zoo/run/configuration.h"

namespace likely {

struct Plan {
  std::int64_t parameters = 0;
  double flops_a_step = 0;  // of products and convolutions
  // Of the tensors: in use at once, and taken from the system (in use and kept for reuse). To the
  // byte what the allocator counts in the run.
  std::int64_t peak_bytes = 0, held_bytes = 0;
  std::int64_t fixed_bytes = 0;  // program, libraries and all else, measured now
  std::int64_t resident_bytes() const { return held_bytes + fixed_bytes; }

  std::string to_json() const;
  std::string to_table() const;
};

Plan plan(const ModelDescription& description, const Configuration& configuration);

}  // namespace likely
