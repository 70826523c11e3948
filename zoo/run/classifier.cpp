#include "zoo/run/classifier.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "kernels/copy.h"
#include "nn/optimiser.h"
#include "nn/schedule.h"
#include "tensor/file.h"
#include "tensor/safetensors.h"
#include "zoo/run/trainer.h"

namespace likely {
namespace {

constexpr std::int64_t batch = 128, epochs = 5, together = 256;  // `together` looked at in one pass
constexpr double rate = 2e-3;
constexpr std::uint64_t seed = 1;

std::int64_t class_count(const DataSet& data) {
  require(has_labels(data), "classifier: {} has no labels to learn from.", data.name());
  const std::vector<std::uint8_t> labels = data.labels(Split::train).to_vector<std::uint8_t>();
  return 1 + *std::max_element(labels.begin(), labels.end());
}

Tensor indices(const Tensor& labels, const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> chosen;
  for (const std::int64_t row : rows)
    chosen.push_back(labels.data<std::uint8_t>()[row]);
  return Tensor::of({static_cast<std::int64_t>(chosen.size())}, chosen);
}

// Half as many pixels each way, for an odd number the larger half.
std::int64_t halved(std::int64_t pixels) { return (pixels + 1) / 2; }

// Images shifted by up to two pixels each way, the same for all of a batch; what comes in is black.
Tensor shifted(const Tensor& images, std::uint32_t word) {
  const std::int64_t n = images.size(0), height = images.size(1), width = images.size(2),
                     channels = images.size(3);
  const std::int64_t down = word % 5 - std::int64_t{2}, right = word / 5 % 5 - std::int64_t{2};
  Tensor result = kernels::full(images.shape(), 0);
  const std::int64_t from = std::max<std::int64_t>(0, -right), most = width - std::abs(right);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t y = std::max<std::int64_t>(0, down);
         y < height + std::min<std::int64_t>(0, down); ++y)
      std::copy_n(images.data<float>() + ((i * height + y - down) * width + from) * channels,
                  most * channels,
                  result.data<float>() + ((i * height + y) * width + from + right) * channels);
  return result;
}

// "mnist, grey" → "mnist-grey"
std::string file_name(const std::string& data) {
  std::string name;
  for (const char c : data)
    if (std::isalnum(static_cast<unsigned char>(c)))
      name += c;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  return name;
}

}  // namespace

bool has_labels(const DataSet& data) { return data.labels(Split::train).defined(); }

Classifier::Layers::Layers(const Shape& image, std::int64_t classes)
    : first(image[2], 32, 5, {.stride = 2, .padding = 2}, Activation::relu),
      second(32, 64, 5, {.stride = 2, .padding = 2}, Activation::relu),
      hidden(halved(halved(image[0])) * halved(halved(image[1])) * 64, width, Activation::relu),
      out(width, classes) {
  add("first", first);
  add("second", second);
  add("hidden", hidden);
  add("out", out);
}

Variable Classifier::Layers::features(const Variable& images) const {
  const Variable maps = second(first(images));
  return hidden(reshape(maps, {images.size(0), hidden.weight.shape()[1]}));
}

Classifier::Classifier(const DataSet& data) : network_(data.image(), class_count(data)) {
  network_.initialise(seed);
}

void Classifier::train(const DataSet& data, std::int64_t epochs, const Done& done) {
  Parameters parameters(network_);
  Optimiser optimiser(parameters, {});
  Tensor state = make_step_state({.seed = seed}), data_state = make_step_state({});
  const Tensor labels = data.labels(Split::train);
  const std::int64_t size = labels.size(0), an_epoch = (size + batch - 1) / batch;
  const Schedule schedule = cosine_decay();
  std::vector<std::int64_t> order;
  for (std::int64_t step = 0; step < epochs * an_epoch; ++step) {
    if (step % an_epoch == 0)
      order = shuffled(size, "shuffle", step / an_epoch, data_state, seed);
    const std::int64_t begin = step % an_epoch * batch;
    const std::vector<std::int64_t> rows(order.begin() + begin,
                                         order.begin() + std::min(begin + batch, size));
    StepState now = read_step_state(state);
    now.rate = static_cast<float>(rate * schedule(step, epochs * an_epoch));
    write_step_state(state, now);
    write_step_state(data_state, {.seed = seed, .update = static_cast<std::uint64_t>(step)});
    const Draw draw{data_state, purpose_hash("classifier/images"), 0};
    const std::uint32_t word =
        philox({{0, 0, static_cast<std::uint32_t>(step), 0}}, seed, 0).word[0];
    const Tensor images = shifted(data.batch(Split::train, rows, draw).to(Device::cpu), word);
    optimiser.update(state, [&](int) {
      const Variable logits = network_.out(network_.features(images));
      return -mean(pick(log_softmax(logits, 1), indices(labels, rows)));
    });
    if (done)
      done(step + 1, epochs * an_epoch);
  }
}

Classifier::Seen Classifier::look(const Tensor& images) const {
  const NotRecording off;
  Seen seen;
  Tensors features;
  for (std::int64_t begin = 0; begin < images.size(0); begin += together) {
    const std::int64_t end = std::min(begin + together, images.size(0));
    const Variable found = network_.features(images.slice(0, begin, end));
    features.push_back(found.value());
    for (const std::int64_t label :
         argmax(network_.out(found), 1).value().to_vector<std::int64_t>())
      seen.classes.push_back(label);
  }
  seen.features = kernels::concatenate(features, 0);
  return seen;
}

double Classifier::accuracy(const DataSet& data) const {
  const Split split = data.labels(Split::test).defined() ? Split::test : Split::validation;
  const Tensor labels = data.labels(split);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(labels.size(0)));
  std::iota(rows.begin(), rows.end(), 0);
  const Seen seen = look(data.batch(split, rows).to(Device::cpu));
  std::int64_t right = 0;
  for (const std::int64_t row : rows)
    right += seen.classes[row] == labels.data<std::uint8_t>()[row];
  return static_cast<double>(right) / static_cast<double>(rows.size());
}

namespace {

// False where the file is not a classifier of this shape: then another one is trained.
bool load(const std::filesystem::path& path, const Classifier& classifier, double& accuracy) {
  if (!std::filesystem::exists(path))
    return false;
  try {
    const SafeTensors saved = load_safetensors(path);
    for (const auto& [name, parameter] : classifier.network().parameters()) {
      const Tensor& tensor = saved.at(name);
      if (tensor.shape() != parameter.shape() || tensor.dtype() != DType::f32)
        return false;
    }
    const auto told = saved.metadata.find("accuracy");
    const std::string text = told == saved.metadata.end() ? "" : told->second;
    double share = -1;
    std::from_chars(text.data(), text.data() + text.size(), share);
    if (!(share >= 0 && share <= 1))
      return false;
    for (const auto& [name, parameter] : classifier.network().parameters())
      kernels::copy_into(parameter.value(), saved.at(name));
    accuracy = share;
    return true;
  } catch (const DataError&) {
    return false;
  }
}

void save(const std::filesystem::path& path, const Classifier& classifier, double accuracy) {
  SafeTensors content;
  for (const auto& [name, parameter] : classifier.network().parameters())
    content.tensors.emplace_back(name, parameter.value());
  content.metadata["accuracy"] = fmt::format("{}", accuracy);
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  save_safetensors(path, content);
}

}  // namespace

CachedClassifier cached_classifier(const DataSet& data,
                                   const std::function<void(const std::string&)>& say,
                                   const Done& done) {
  CachedClassifier result{std::make_unique<Classifier>(data), 0};
  const std::filesystem::path path =
      std::filesystem::path(cache_folder()) /
      fmt::format("{}-{}.safetensors", Classifier::name,
                  file_name(data.name() + " " + data.content().substr(0, 7 + 16)));
  if (!load(path, *result.classifier, result.accuracy)) {
    say(fmt::format("classifier: none of {} yet: training one for {}", data.name(), path.string()));
    result.classifier->train(data, epochs, done);
    result.accuracy = result.classifier->accuracy(data);
    try {
      save(path, *result.classifier, result.accuracy);
    } catch (const SaveError& error) {
      say(error.what());
    }
  }
  say(fmt::format("classifier: {} tells {:.2f} % of held-out {} rightly", Classifier::name,
                  100 * result.accuracy, data.name()));
  return result;
}

}  // namespace likely
