// The word that somebody meant: for messages about unknown options, settings, data sets and models.
#pragma once
#include <string>
#include <vector>

namespace likely {

// Insertions, deletions, changes and swaps of neighbours that turn a into b.
int edit_distance(const std::string& a, const std::string& b);

// "Did you mean --hidden?" where one is near enough, else "Known: a, b and c."
std::string suggestion(const std::string& word, const std::vector<std::string>& known);

}  // namespace likely
