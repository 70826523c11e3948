// LIKELY_EMULATE, word for word.
#include "kernels/cuda.h"

#include <charconv>
#include <cstdlib>
#include <functional>
#include <map>
#include <sstream>
#include <vector>

#include "tensor/nearest.h"

namespace likely::kernels {
namespace {

using Order = Emulation::Order;
using Copies = Emulation::Copies;

const std::map<std::string, std::function<void(Emulation&)>>& words() {
  static const std::map<std::string, std::function<void(Emulation&)>> all = {
      {"forward", [](Emulation& e) { e.order = Order::forward; }},
      {"reverse", [](Emulation& e) { e.order = Order::reverse; }},
      {"random", [](Emulation& e) { e.order = Order::random; }},
      {"early", [](Emulation& e) { e.copies = Copies::early; }},
      {"late", [](Emulation& e) { e.copies = Copies::late; }},
      {"rtx40", [](Emulation& e) { e.profile = "rtx40"; }},
      {"a100", [](Emulation& e) { e.profile = "a100"; }},
      {"h100", [](Emulation& e) { e.profile = "h100"; }},
  };
  return all;
}

void obey(const std::string& word, Emulation& emulation) {
  if (const auto found = words().find(word); found != words().end())
    return found->second(emulation);
  if (word.starts_with("random=")) {
    const char *const begin = word.data() + 7, *const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(begin, end, emulation.seed);
    require<UsageError>(error == std::errc() && rest == end && begin != end,
                        "LIKELY_EMULATE: the seed is not a number: '{}'. Write random=7.", word);
    emulation.order = Order::random;
    return;
  }
  std::vector<std::string> known;
  for (const auto& [name, unused] : words())
    known.push_back(name);
  fail<UsageError>(
      "LIKELY_EMULATE: unknown word '{}'. Did you mean '{}'? Known are {}, random=SEED.", word,
      nearest(word, known), joined(known));
}

}  // namespace

Emulation emulation_from(const std::string& words) {
  Emulation emulation;
  std::istringstream stream(words);
  for (std::string word; stream >> word;)
    obey(word, emulation);
  return emulation;
}

Emulation& emulation() {
  static Emulation& only = []() -> Emulation& {
    const char* const words = std::getenv("LIKELY_EMULATE");
    return *new Emulation(emulation_from(words ? words : ""));
  }();
  return only;
}

}  // namespace likely::kernels
