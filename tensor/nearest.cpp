// Edit distance between words (Wagner & Fischer 1974), one row at a time; and lists in messages.
#include "tensor/nearest.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

namespace likely {
namespace {

// Of the first letters, as it takes as long as the product of both lengths.
std::size_t distance(std::string_view a, std::string_view b) {
  a = a.substr(0, 100);
  b = b.substr(0, 100);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  const auto found = std::min_element(
      known.begin(), known.end(),
      [&](const auto& a, const auto& b) { return distance(word, a) < distance(word, b); });
  return found == known.end() ? std::string() : *found;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : between) + word;
  return text;
}

}  // namespace likely
