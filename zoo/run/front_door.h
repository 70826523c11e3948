// What the front door, the script `likely`, asks the program: configurations have one reader.
#pragma once
#include <string>
#include <vector>

namespace likely {

// What the words after a verb name, by a run's folder, --config or --device; empty where nothing.
struct NamedByWords {
  std::string model, device;
};
NamedByWords named_by(const std::vector<std::string>& words);  // DataError where a file is none

// The same as lines "model NAME" and "device NAME".
std::string about(const std::vector<std::string>& words);

}  // namespace likely
