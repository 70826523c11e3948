#include "zoo/run/data_facts.h"

#include <charconv>

#include "tensor/shown.h"

namespace likely {
namespace {

// The whole numbers of "28 28 1"; DataError where there is anything else, or one above `most`.
std::vector<std::int64_t> numbers_in(const std::string& text, std::int64_t most) {
  std::vector<std::int64_t> numbers;
  const char *at = text.data(), *const end = at + text.size();
  while (at < end) {
    std::int64_t number = -1;
    const auto [rest, error] = std::from_chars(at, end, number);
    require<DataError>(
        error == std::errc() && number >= 0 && number <= most && (rest == end || *rest == ' '),
        "checkpoint: its state.json tells of data what cannot be: {}.", in_quotes(text));
    numbers.push_back(number);
    at = rest == end ? end : rest + 1;
  }
  return numbers;
}

}  // namespace

DataFacts facts_of(const DataSet& data) {
  std::string images;
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const std::int64_t size = data.size(split);
    images += images.empty() ? "" : " + ";
    images += size == DataSet::endless ? "endless" : fmt::format("{}", size);
  }
  return {data.name(), data.image(), data.levels(), data.classes(), data.content(), images};
}

void record_data(const DataFacts& data, std::map<std::string, std::string>& facts) {
  std::string image;
  for (int axis = 0; axis < data.image.rank(); ++axis)
    image += fmt::format("{}{}", axis > 0 ? " " : "", data.image[axis]);
  facts["data"] = data.name;
  facts["data_image"] = image;
  facts["data_levels"] = fmt::format("{}", data.levels);
  facts["data_classes"] = fmt::format("{}", data.classes);
  if (data.content.empty())
    return;
  facts["data_content"] = data.content;
  facts["data_images"] = data.images;
}

std::optional<DataFacts> recorded_data(const std::map<std::string, std::string>& facts) {
  for (const char* key : {"data", "data_image", "data_levels", "data_classes"})
    if (!facts.contains(key))
      return std::nullopt;
  const auto image = numbers_in(facts.at("data_image"), 1 << 16),
             levels = numbers_in(facts.at("data_levels"), 256),
             classes = numbers_in(facts.at("data_classes"), 1 << 16);
  require<DataError>(
      (image.size() == 1 || image.size() == 3) && levels.size() == 1 && classes.size() == 1,
      "checkpoint: its state.json tells of data what cannot be: images of {}, {} "
      "levels, {} classes.",
      shown(facts.at("data_image")), shown(facts.at("data_levels")),
      shown(facts.at("data_classes")));
  Shape shape;
  for (const std::int64_t extent : image)
    shape.push_back(extent);
  DataFacts data{facts.at("data"), shape, static_cast<int>(levels[0]), classes[0]};
  if (facts.contains("data_content") && facts.contains("data_images")) {
    data.content = facts.at("data_content");
    data.images = facts.at("data_images");
  }
  return data;
}

void require_same_data(const char* verb, const DataFacts& learnt, const DataFacts& now) {
  if (learnt.content.empty() || now.content.empty() || learnt.content == now.content)
    return;
  const auto told = [](const DataFacts& data) {
    return fmt::format("{} images of {} ({})", shown(data.images), shown(data.name),
                       shown(std::string_view(data.content).substr(0, 7 + 12)));
  };
  fail<DataError>(
      "{}: the data is not what this run learnt from: that was {}; now there are {}. Give back "
      "what was there, or go on with what is there now: --data-changed.",
      verb, told(learnt), told(now));
}

}  // namespace likely
