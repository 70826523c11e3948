// Batches: rows of a split, each image written from its own random words.
#include "zoo/data/data_set.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace likely {

const char* name_of(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::validation:
      return "validation";
    case Split::test:
      return "test";
  }
  fail("data: {} is none of the three splits.", static_cast<int>(split));
}

PhiloxBlock ImageWords::block(std::uint32_t number) const {
  return philox({{first + number, index, static_cast<std::uint32_t>(state.update), purpose}},
                static_cast<std::uint32_t>(state.seed),
                static_cast<std::uint32_t>(state.seed >> 32));
}

std::string DataSet::split_name(Split split) const { return name_of(split); }
// A change that makes other images of the same random words counts the version up.
std::string DataSet::content() const { return "generated, version 1"; }
std::string DataSet::left_out() const { return {}; }
Tensor DataSet::labels(Split) const { return {}; }
std::optional<double> DataSet::entropy() const { return std::nullopt; }
std::optional<double> DataSet::entropy_given_caption() const { return std::nullopt; }
std::string DataSet::caption(Split, std::int64_t, const ImageWords&) const { return {}; }
std::vector<double> DataSet::log_prob(const Tensor&) const { return {}; }
const TemplateMixture* DataSet::templates() const { return nullptr; }
const PointMixture* DataSet::modes() const { return nullptr; }

void DataSet::write_image(Split, std::int64_t, const ImageWords&, std::uint8_t*) const {
  fail("data: {} holds points, which have no bytes. Take a batch.", name_);
}

void DataSet::write_values(Split split, std::int64_t row, const ImageWords& words,
                           float* values) const {
  std::vector<std::uint8_t> image(static_cast<std::size_t>(image_.numel()));
  write_image(split, row, words, image.data());
  const auto most = static_cast<float>(levels_ - 1);
  std::transform(image.begin(), image.end(), values,
                 [&](std::uint8_t value) { return static_cast<float>(value) / most; });
}

void DataSet::write(Split split, std::int64_t row, const ImageWords& words,
                    std::uint8_t* to) const {
  write_image(split, row, words, to);
}

void DataSet::write(Split split, std::int64_t row, const ImageWords& words, float* to) const {
  write_values(split, row, words, to);
}

ImageWords DataSet::words_of(Split split, std::span<const std::int64_t> rows,
                             const Draw& draw) const {
  for (const std::int64_t row : rows)
    require(row >= 0 && row < size(split), "data: {} has no row {} in its {} split of {}.", name_,
            row, name_of(split), size(split));
  require(split != Split::train || draw.state.defined(),
          "data: the training split of {} needs a draw. Pass one of this update.", name_);
  if (split == Split::train)
    return {read_step_state(draw.state), draw.purpose, draw.index};
  return {{.seed = seed_}, purpose_hash(std::string("data/") + name_of(split))};
}

void DataSet::mirror_half() {
  require<UsageError>(
      image_.rank() == 3 && image_[2] == 3,
      "--augment mirror: {} holds no colour images, and of letters and digits there "
      "is another in the mirror. Leave it out.",
      name_);
  require<UsageError>(!entropy_given_caption(),
                      "--augment mirror: the captions of {} say what is on the left. Leave it out.",
                      name_);
  mirrors_half_ = true;
}

namespace {

template <class T>
void mirror(const Shape& image, T* values) {
  const std::int64_t columns = image[1], channels = image[2];
  for (std::int64_t row = 0; row < image[0]; ++row, values += columns * channels)
    for (std::int64_t left = 0, right = columns - 1; left < right; ++left, --right)
      std::swap_ranges(values + left * channels, values + (left + 1) * channels,
                       values + right * channels);
}

}  // namespace

template <class T>
Tensor DataSet::gather(Split split, std::span<const std::int64_t> rows, const Draw& draw) const {
  const auto n = static_cast<std::int64_t>(rows.size()), pixels = image_.numel();
  if (device_.kind == Device::meta)
    return Tensor::empty(image_.inserted(0, n), dtype_of<T>, device_);
  const ImageWords words = words_of(split, rows, draw);
  const Tensor result = Tensor::empty(image_.inserted(0, n), dtype_of<T>);
  T* const values = result.data<T>();
  const bool mirrors = mirrors_half_ && split == Split::train;
  const ImageWords sides{words.state, purpose_hash("train/mirror"), words.index};
  kernels::parallel_for(n, 256, [&](std::int64_t begin, std::int64_t end) {
    ImageWords own = words;
    for (std::int64_t i = begin; i < end; ++i) {
      own.first = static_cast<std::uint32_t>(rows[i] * blocks());
      write(split, rows[i], own, values + i * pixels);
      if (mirrors && sides.block(static_cast<std::uint32_t>(rows[i])).word[0] >> 31)
        mirror(image_, values + i * pixels);
    }
  });
  return result;
}

std::vector<std::string> DataSet::captions(Split split, std::span<const std::int64_t> rows,
                                           const Draw& draw) const {
  ImageWords words = words_of(split, rows, draw);
  std::vector<std::string> texts;
  for (const std::int64_t row : rows) {
    words.first = static_cast<std::uint32_t>(row * blocks());
    texts.push_back(caption(split, row, words));
  }
  return texts;
}

Tensor DataSet::batch_on_host(Split split, std::span<const std::int64_t> rows,
                              const Draw& draw) const {
  return gather<float>(split, rows, draw);
}

Tensor DataSet::labels_on_host(Split split, std::span<const std::int64_t> rows) const {
  const auto n = static_cast<std::int64_t>(rows.size());
  if (device_.kind == Device::meta)
    return Tensor::empty({n}, DType::i64, device_);
  const Tensor all = labels(split);
  require(all.defined(), "data: the {} split of {} has no labels.", name_of(split), name_);
  std::vector<std::int64_t> values;
  for (const std::int64_t row : rows)
    values.push_back(all.data<std::uint8_t>()[row]);
  return Tensor::of({n}, values);
}

Tensor DataSet::bytes(Split split, std::span<const std::int64_t> rows, const Draw& draw) const {
  return gather<std::uint8_t>(split, rows, draw);
}

}  // namespace likely
