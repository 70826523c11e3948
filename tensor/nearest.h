// Lists of words in messages: all of them, and the one that a mistyped word was meant to be.
#pragma once
#include <string>
#include <vector>

namespace likely {

// By the number of letters inserted, deleted or replaced; the first of several. Empty where
// nothing is known.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

// "own, vendor, fastest" for {"own", "vendor", "fastest"}. (fmt::join costs each file that uses it
// two seconds of compilation.)
std::string joined(const std::vector<std::string>& words, const char* between = ", ");

}  // namespace likely
