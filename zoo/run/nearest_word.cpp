#include "zoo/run/nearest_word.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace likely {

int edit_distance(const std::string& a, const std::string& b) {
  const std::size_t columns = b.size() + 1;
  std::vector<int> d((a.size() + 1) * columns);
  const auto at = [&](std::size_t i, std::size_t j) -> int& { return d[i * columns + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        at(i, j) = static_cast<int>(i + j);
        continue;
      }
      const int change = a[i - 1] == b[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  return d.back();
}

std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  int least = std::numeric_limits<int>::max();
  std::string nearest;
  for (const std::string& candidate : known) {
    const int distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  if (!nearest.empty() && least <= std::max<int>(2, static_cast<int>(word.size()) / 3))
    return fmt::format("Did you mean {}?", nearest);
  if (known.empty())
    return "None is known.";
  std::string list = known.front();
  for (std::size_t i = 1; i < known.size(); ++i)
    list += (i + 1 == known.size() ? " and " : ", ") + known[i];
  return fmt::format("Known: {}.", list);
}

}  // namespace likely
