// The known word that a mistyped one was probably meant to be, for messages.
#pragma once
#include <string>
#include <vector>

namespace likely {

// By the number of letters inserted, deleted or replaced; the first of several. Empty where
// nothing is known.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace likely
