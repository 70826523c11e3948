#include "zoo/autoregressive/pixels.h"

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"
#include "kernels/random.h"

namespace likely {

PixelCache::PixelCache(const Shape& image, std::int64_t count, std::int64_t frame, Device device)
    : width(image[1]),
      frame(frame),
      framed(kernels::zeros({count, image[0] + frame, image[1] + 2 * frame, image[2]}, DType::f32,
                            device)) {}

Tensor PixelCache::pixel() const {
  return framed.slice(1, row + frame, row + frame + 1).slice(2, column + frame, column + frame + 1);
}

void PixelCache::set(const Tensor& values, std::int64_t channel) {
  kernels::copy_into(pixel().slice(3, channel, channel + values.size(3)), values);
}

void PixelCache::advance() {
  row += ++column / width;
  column %= width;
}

Tensor PixelCache::images() const {
  return kernels::contiguous(framed.slice(1, frame, framed.size(1)).slice(2, frame, frame + width));
}

Variable inside(const Convolution& layer, const Variable& x) {
  return convolution(x, layer.weight, layer.bias ? (*layer.bias)() : none);
}

Device PixelNetwork::device() const { return parameters().front().second.value().device(); }

PixelModel::PixelModel(std::string name, const Shape& image, std::unique_ptr<PixelNetwork> network,
                       const Condition& condition, const Optimiser::Options& optimiser)
    : name_(std::move(name)),
      image_(image),
      network_(std::move(network)),
      condition_(condition),
      optimiser_(optimiser) {
  require<UsageError>(image.rank() == 3 && image[0] > 1 && image[1] > 1,
                      "{}: what is of {} is no image of several rows and columns. Choose another "
                      "--data.",
                      name_, image);
}

std::vector<Network> PixelModel::networks() { return {{name_, *network_, optimiser_}}; }

// ------------------------------------------------------------------------------- the likelihood

Variable PixelModel::log_prob(const Variable& x, const Tensor& labels) const {
  return network_->head->log_prob(network_->features(x, labels), x);
}

Variable PixelModel::loss(std::size_t, const Batch& batch, Random& random) {
  const Tensor labels =
      classes() > 0 ? drop_some(batch.condition, condition_, random.draw("train/label")) : Tensor();
  return -mean(log_prob(kernels::contiguous(batch.images), labels));
}

Likelihood PixelModel::likelihood(const Tensor& images, std::int64_t, Random&,
                                  const std::function<void(std::int64_t)>& done) {
  const NotRecording off;
  constexpr std::int64_t together = 64;
  Likelihood likelihood;
  likelihood.method = classes() > 0 ? "chain rule, summed over labels" : "chain rule";
  for (std::int64_t begin = 0; begin < images.size(0); begin += together) {
    const std::int64_t end = std::min(begin + together, images.size(0));
    const Variable x = kernels::contiguous(images.slice(0, begin, end));
    Variables given;  // with each label, whose probability is 1 / classes
    for (std::int64_t label = 0; label < classes(); ++label) {
      const Tensor labels =
          kernels::full({x.size(0)}, static_cast<double>(label), DType::i64, images.device());
      given.push_back(unsqueeze(log_prob(x, labels), 1));
    }
    const Variable log_probs = given.empty() ? log_prob(x)
                                             : log_sum_exp(concatenate(given, 1), 1) -
                                                   std::log(static_cast<double>(classes()));
    for (const double value : kernels::to_doubles(log_probs.value()))
      likelihood.log_likelihood.push_back(value);
    if (done)
      done(end);
  }
  return likelihood;
}

Variable PixelModel::log_probabilities(const Variable& x, const Tensor& labels) const {
  const Variable features = network_->features(x, labels);
  Variables channels;
  for (std::int64_t c = 0; c < image_[2]; ++c)
    channels.push_back(unsqueeze(network_->head->log_probabilities(features, x, c), 3));
  const Variable all = concatenate(channels, 3);  // [n, height, width, channels, levels]
  return reshape(all, {x.size(0), image_.numel(), all.size(4)});
}

// ---------------------------------------------------------------------------------- the samples

class PixelModel::Known : public Prefix {
 public:
  Known(const PixelModel& model, std::int64_t count, const Tensor& labels)
      : head_(*model.network_->head),
        channels_(model.image_[2]),
        cache_(model.network_->cache(model.image_, count, labels)) {}

  Tensor log_probabilities() override {
    const NotRecording off;
    if (!features_.defined())
      features_ = cache_->features();
    const Variable pixel = kernels::contiguous(cache_->pixel());
    const Variable found = head_.log_probabilities(features_, pixel, channel_);
    return found.value().reshape({found.size(0), found.size(3)});
  }
  void append(const Tensor& elements) override {
    const NotRecording off;
    if (!features_.defined())  // what it keeps is made with it
      features_ = cache_->features();
    cache_->set(elements.reshape({elements.size(0), 1, 1, 1}), channel_);
    if (++channel_ < channels_)
      return;
    channel_ = 0;
    features_ = none;
    cache_->advance();
  }

 private:
  const Head& head_;
  std::int64_t channels_, channel_ = 0;  // of the next element
  std::unique_ptr<PixelCache> cache_;
  Variable features_;  // of the next pixel, once asked for
};

std::unique_ptr<Autoregressive::Prefix> PixelModel::begin(std::int64_t count,
                                                          const Tensor& labels) const {
  return std::make_unique<Known>(*this, count, labels);
}

Tensor PixelModel::draw(std::int64_t count, Random& random, const Guidance& guidance) const {
  const NotRecording off;
  const auto cache = network_->cache(image_, guidance.copies() * count, guidance.labels());
  for (std::int64_t pixel = 0; pixel < image_[0] * image_[1]; ++pixel) {
    const Tensor drawn = network_->head->sample(cache->features(), guidance, random);
    cache->set(guidance.copied(drawn), 0);
    cache->advance();
  }
  return kernels::contiguous(cache->images().slice(0, 0, count));
}

Tensor PixelModel::sample(std::int64_t count, Random& random) {
  if (classes() == 0)
    return draw(count, random, {});
  return sample_given(kernels::integers({count}, classes(), random.draw("sample/label")), 1,
                      random);
}

Tensor PixelModel::sample_given(const Tensor& labels, double guidance, Random& random) {
  return draw(labels.size(0), random, {condition_, labels, guidance});
}

Tensor PixelModel::sample_by_whole_passes(std::int64_t count, Random& random,
                                          const Guidance& guidance) {
  const NotRecording off;
  const Tensor images = kernels::zeros(image_.inserted(0, count), DType::f32, network_->device());
  for (std::int64_t i = 0; i < image_[0]; ++i)
    for (std::int64_t j = 0; j < image_[1]; ++j) {
      const Variable all = network_->features(guidance.copied(images), guidance.labels()),
                     here = slice(slice(all, 1, i, i + 1), 2, j, j + 1);
      kernels::copy_into(images.slice(1, i, i + 1).slice(2, j, j + 1),
                         network_->head->sample(here, guidance, random));
    }
  return images;
}

// --------------------------------------------------------------------------------------- the data

std::vector<std::string> pixels_data() {
  return {"shapes",          "bars",       "ising-0.2",      "ising-0.4", "mnist",  "fashion-mnist",
          "binarized-mnist", "shapes-rgb", "cifar-10-small", "cifar-10",  "pngs-32"};
}

void pixels_for_data(Settings& settings, Preset preset, const std::string& data) {
  const bool few_pixels = data == "bars" || data.starts_with("ising-");
  if (few_pixels && preset != Preset::paper)
    settings.set("steps", std::int64_t{preset == Preset::quick ? 2000 : 10000});
  const bool in_colour =
      data == "shapes-rgb" || data.starts_with("cifar") || data.starts_with("pngs");
  if (!in_colour)
    return;
  settings.set("head", std::string("softmax"));
  if (preset != Preset::paper) {
    settings.set("batch", std::int64_t{16});
    settings.set("steps", std::int64_t{preset == Preset::quick ? 100 : 1500});
  }
}

}  // namespace likely
