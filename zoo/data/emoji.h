// Noto emoji on white, with their English captions, from IDX files and a table.
#pragma once
#include "zoo/data/catalogue.h"

namespace likely {

// One row of captions.tsv for each image: row, codepoints, caption, category, short_name, split.
struct EmojiTable {
  std::vector<std::string> captions;
  std::vector<Split> splits;
};
// DataError naming the line of anything else than `count` such rows.
EmojiTable read_emoji_table(const std::filesystem::path& file, std::int64_t count);

DataSetDescription emoji_description(std::int64_t side);  // 32: "emoji", 64: "emoji-64"

}  // namespace likely
