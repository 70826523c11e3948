#include "zoo/data/emoji.h"

#include <algorithm>
#include <sstream>

#include "zoo/data/stored.h"
#include "zoo/data/uncompressed_file.h"

namespace likely {
namespace {

constexpr std::int64_t count = 1609;
constexpr const char* header = "row\tcodepoints\tcaption\tcategory\tshort_name\tsplit";

std::string text_of(const std::filesystem::path& file) {
  constexpr std::size_t most = 1 << 20;
  UncompressedFile source(file);
  std::string text(most, '\0');
  text.resize(source.read(reinterpret_cast<std::uint8_t*>(text.data()), most));
  require<DataError>(text.size() < most, "emoji: {} is longer than {} bytes. Fetch it again.",
                     file.string(), most);
  return text;
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line)
    if (c == '\t')
      fields.emplace_back();
    else
      fields.back() += c;
  return fields;
}

SplitRows rows_of(const std::vector<Split>& splits) {
  SplitRows rows;
  for (std::size_t row = 0; row < splits.size(); ++row)
    rows[static_cast<std::size_t>(splits[row])].push_back(static_cast<std::int64_t>(row));
  return rows;
}

// The published table's sizes, for plans without files.
EmojiTable table_on_meta() {
  EmojiTable table{std::vector<std::string>(count), {}};
  table.splits.resize(1293, Split::train);
  table.splits.resize(1293 + 153, Split::validation);
  table.splits.resize(count, Split::test);
  return table;
}

std::unique_ptr<DataSet> make_emoji(std::int64_t side, const DataOptions& options) {
  const DataSetDescription set = emoji_description(side);
  refuse_binarisation(set.name, options);
  const Tensor images = load_idx(set, set.files[0], options);
  const EmojiTable table =
      images.is_meta()
          ? table_on_meta()
          : read_emoji_table(locate_or_explain(set, set.files[1], options.directory), count);
  return make_stored(fmt::format("{}, {}x{} on white", set.name, side, side), {side, side, 3},
                     divided(images, {}, table.captions, rows_of(table.splits), Binarisation::none),
                     options);
}

}  // namespace

EmojiTable read_emoji_table(const std::filesystem::path& file, std::int64_t count) {
  std::istringstream lines(text_of(file));
  std::string line;
  require<DataError>(
      std::getline(lines, line) && line == header,
      "emoji: {} does not begin with the columns row, codepoints, caption, category, "
      "short_name, split. Fetch it again.",
      file.string());
  EmojiTable table;
  for (std::int64_t row = 0; std::getline(lines, line); ++row) {
    const std::vector<std::string> fields = fields_of(line);
    require<DataError>(fields.size() == 6 && fields[0] == std::to_string(row),
                       "emoji: line {} of {} is not row {} with 6 columns. Fetch it again.",
                       row + 2, file.string(), row);
    bool known = false;
    for (const Split split : {Split::train, Split::validation, Split::test})
      if (fields[5] == name_of(split)) {
        table.splits.push_back(split);
        known = true;
      }
    require<DataError>(known,
                       "emoji: line {} of {} is of the split \"{}\": there are train, validation, "
                       "test. Fetch it again.",
                       row + 2, file.string(), fields[5].substr(0, 40));
    table.captions.push_back(fields[2]);
  }
  const auto found = static_cast<std::int64_t>(table.captions.size());
  require<DataError>(found == count, "emoji: {} has {} rows, there are {} images. Fetch it again.",
                     file.string(), found, count);
  return table;
}

DataSetDescription emoji_description(std::int64_t side) {
  const bool small = side == 32;
  return {small ? "emoji" : "emoji-64",
          fmt::format("1293 + 153 + 163 images of {0}x{0}x3", side),
          "emoji on white, with captions",
          "Google, https://github.com/googlefonts/noto-emoji (png/128, scaled), OFL-1.1; captions: "
          "https://github.com/github/gemoji, MIT",
          {{fmt::format("emoji/images{}-idx4-ubyte", side),
            {count, side, side, 3},
            small ? "65e4daf28f9515b85035fdd7746141c22121aaf3d5fe13c6d854e7f5c0954153"
                  : "ad29fa2d4f94ccd89792fb1cc8268b1d0280d33ffbe4f018b091d0ef281eeb75"},
           {"emoji/captions.tsv",
            {},
            "383a74da2e0bdfa421e66e84583113c241b57522059748be0ec5b612f345c131"}},
          [side](const DataOptions& options) { return make_emoji(side, options); }};
}

}  // namespace likely
