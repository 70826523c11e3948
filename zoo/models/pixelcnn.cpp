#include "zoo/models/pixelcnn.h"

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "nn/distributions.h"

namespace likely {

// ------------------------------------------------------------------------------------ the network

namespace {

// tanh of the first half of the channels times σ of the second (equations 2 and 4).
Variable gate(const Variable& x, const Variable& given) {
  const std::int64_t half = x.size(-1) / 2;
  const Variables halves = split(given.defined() ? x + given : x, {half, half}, -1);
  return gated_tanh(halves[0], halves[1]);
}

// How far kernels of the first layer (7 x 7) and of the others (3 x 3) reach up, and to the sides.
constexpr std::int64_t reach_of(bool first) { return first ? 3 : 1; }
// The others also see their own row or pixel of the layer before.
constexpr std::int64_t taps_of(bool first) { return first ? 3 : 2; }

// A convolution of rows and columns that are all there.
Variable inside(const Convolution& layer, const Variable& x) {
  return convolution(x, layer.weight, *layer.bias);
}

// Of a pixel being 0 and being 1: logits [n, height, width, 1] → [n, pixels, 2].
Variable log_probabilities_of(const Variable& logits) {
  const std::int64_t n = logits.size(0);
  const Tensor values = kernels::cast(Tensor::of({2}, std::vector<float>{0, 1}), logits.dtype())
                            .to(logits.value().device());
  return Bernoulli(reshape(logits, {n, -1, 1})).log_prob(values);
}

}  // namespace

PixelCnn::Layer::Layer(std::int64_t in, bool first, const Options& options)
    : first(first),
      vertical(in, 2 * options.width, {taps_of(first), 2 * reach_of(first) + 1},
               {.padding = {reach_of(first), 0, reach_of(first), reach_of(first)}}),
      horizontal(in, 2 * options.width, {1, taps_of(first)},
                 {.padding = {0, 0, reach_of(first), 0}}),
      joined(2 * options.width, 2 * options.width, 1),
      out(options.width, options.width, 1) {
  add("vertical", vertical);
  add("horizontal", horizontal);
  add("joined", joined);
  add("out", out);
  if (const std::int64_t rows = options.condition.rows(); rows > 0) {
    add("for_vertical", for_vertical.emplace(rows, 2 * options.width, normal(0.1)));
    add("for_horizontal", for_horizontal.emplace(rows, 2 * options.width, normal(0.1)));
  }
}

PixelCnn::Given PixelCnn::Layer::given(const Tensor& labels) const {
  if (!for_vertical)
    return {};
  const auto rows = [&](const Embedding& embedding) {
    const Variable row = embedding(labels);
    return reshape(row, {row.size(0), 1, 1, row.size(1)});
  };
  return {rows(*for_vertical), rows(*for_horizontal)};
}

Variable PixelCnn::Layer::end(const Variable& horizontal, const Variable& joined,
                              const Variable& before, const Given& given) const {
  const Variable y = out(gate(horizontal + joined, given.horizontal));
  return first ? y : y + before;
}

PixelCnn::Features PixelCnn::Layer::operator()(const Variable& above, const Variable& left,
                                               const Given& given) const {
  // Without its last row or column, an image lies one further down or to the right.
  const std::int64_t cut = first ? 1 : 0;
  const Variable v = vertical(slice(above, 1, 0, above.size(1) - cut));
  const Variable h = horizontal(slice(left, 2, 0, left.size(2) - cut));
  return {v, gate(v, given.vertical), end(h, joined(v), left, given)};
}

PixelCnn::Layers::Layers(const Options& options)
    : hidden(options.width, options.width, 1, {}, Activation::relu), logit(options.width, 1, 1) {
  for (std::int64_t i = 0; i <= options.layers; ++i) {
    layers.push_back(std::make_unique<Layer>(i == 0 ? 1 : options.width, i == 0, options));
    add(fmt::format("layers.{}", i), *layers.back());
  }
  add("hidden", hidden);
  add("logit", logit);
}

Variable PixelCnn::Layers::head(const Variable& features) const {
  return logit(hidden(relu(features)));
}

PixelCnn::PixelCnn(const Shape& image, const Options& options)
    : image_(image), options_(options), network_(options) {
  require<UsageError>(image.rank() == 3 && image[0] > 1 && image[1] > 1 && image[2] == 1,
                      "pixelcnn: images of {} are not black and white ones of several rows and "
                      "columns. Choose another --data.",
                      image);
}

Variable PixelCnn::logits(const Variable& x, const Tensor& labels) const {
  Features features{none, x, x};
  for (const auto& layer : network_.layers)
    features = (*layer)(features.gated, features.horizontal, layer->given(labels));
  return network_.head(features.horizontal);
}

std::vector<Network> PixelCnn::networks() { return {{"pixelcnn", network_, options_.optimiser}}; }

Variable PixelCnn::log_prob(const Variable& x, const Tensor& labels) const {
  return sum(Bernoulli(logits(x, labels)).log_prob(x), {1, 2, 3});
}

Variable PixelCnn::loss(std::size_t, const Batch& batch, Random& random) {
  const Tensor labels =
      classes() > 0 ? drop_some(batch.condition, options_.condition, random.draw("train/label"))
                    : Tensor();
  return -mean(log_prob(kernels::contiguous(batch.images), labels));
}

Likelihood PixelCnn::likelihood(const Tensor& images, std::int64_t, Random&,
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
    const Variable log_probs = given.empty() ? log_prob(x, {})
                                             : log_sum_exp(concatenate(given, 1), 1) -
                                                   std::log(static_cast<double>(classes()));
    for (const double value : kernels::to_doubles(log_probs.value()))
      likelihood.log_likelihood.push_back(value);
    if (done)
      done(end);
  }
  return likelihood;
}

Variable PixelCnn::log_probabilities(const Variable& x, const Tensor& labels) const {
  return log_probabilities_of(logits(x, labels));
}

// In both stacks every layer adds its kernel's reach to that of the layers before it.
std::int64_t PixelCnn::reach() const { return reach_of(true) + options_.layers * reach_of(false); }

// ------------------------------------------------------------------------------------- the samples

// The state of images that are drawn pixel by pixel. A pixel changes nothing of the vertical stack
// in its own row, and of the horizontal one only what stands to its right: so the former is
// computed row by row, and the latter pixel by pixel, from the features of the pixel before.
class PixelCnn::Sampler : public Prefix {
 public:
  Sampler(const PixelCnn& model, std::int64_t count, const Tensor& labels)
      : network_(model.network_),
        width_(model.image_[1]),
        images_(kernels::zeros({count, model.image_[0] + 3, width_ + 6, 1}, DType::f32, device())) {
    for (std::size_t i = 1; i < network_.layers.size(); ++i)
      above_.push_back(
          kernels::zeros({count, 2, width_ + 2, model.options_.width}, DType::f32, device()));
    for (const auto& layer : network_.layers)
      given_.push_back(layer->given(labels));
  }

  // The logit of the next pixel: [n, 1, 1, 1].
  Variable logit() {
    if (column_ == 0)
      begin_row();
    const auto at = [&](std::size_t l) { return slice(joined_[l], 2, column_, column_ + 1); };
    const Tensor seen = images_.slice(1, row_ + 3, row_ + 4).slice(2, column_, column_ + 3);
    Variable h = network_.layers[0]->end(inside(network_.layers[0]->horizontal, seen), at(0), none,
                                         given_[0]);
    for (std::size_t l = 0; l < above_.size(); ++l) {
      const Layer& layer = *network_.layers[l + 1];
      Variable& left = left_[l];
      if (!left.defined())
        left = kernels::zeros(h.shape(), h.dtype(), device());
      const Variable pair = concatenate({left, h}, 2);
      left = h;
      h = layer.end(inside(layer.horizontal, pair), at(l + 1), h, given_[l + 1]);
    }
    return network_.head(h);
  }
  Tensor log_probabilities() override {
    const NotRecording off;
    return squeeze(log_probabilities_of(logit()), 1).value();
  }

  void append(const Tensor& pixels) override {
    Tensor place = images_.slice(1, row_ + 3, row_ + 4).slice(2, column_ + 3, column_ + 4);
    kernels::copy_into(place, pixels.reshape(place.shape()));
    row_ += ++column_ / width_;
    column_ %= width_;
  }
  Tensor images() const {
    return kernels::contiguous(images_.slice(1, 3, images_.size(1)).slice(2, 3, width_ + 3));
  }

 private:
  // What the vertical stack gives to each layer's horizontal one.
  void begin_row() {
    joined_.clear();
    left_.assign(above_.size(), Variable());
    Variable v = inside(network_.layers[0]->vertical, images_.slice(1, row_, row_ + 3));
    for (std::size_t l = 0;; ++l) {
      joined_.push_back(network_.layers[l]->joined(v));
      if (l == above_.size())
        return;
      Tensor &rows = above_[l], before = rows.slice(1, 0, 1), now = rows.slice(1, 1, 2);
      kernels::copy_into(before, kernels::contiguous(now));
      Tensor middle = now.slice(2, 1, width_ + 1);
      kernels::copy_into(middle, gate(v, given_[l].vertical).value());
      v = inside(network_.layers[l + 1]->vertical, rows);
    }
  }
  Device device() const { return network_.logit.weight.value().device(); }

  const Layers& network_;
  std::int64_t width_, row_ = 0, column_ = 0;
  Tensor images_;                 // with zeros above, and on both sides
  std::vector<Tensor> above_;     // of layers but the first: two rows of what their kernels see
  std::vector<Given> given_;      // of each layer
  std::vector<Variable> joined_;  // of this row
  std::vector<Variable> left_;    // of layers but the first: what they saw at the pixel before
};

std::unique_ptr<Autoregressive::Prefix> PixelCnn::begin(std::int64_t count,
                                                        const Tensor& labels) const {
  return std::make_unique<Sampler>(*this, count, labels);
}

Tensor PixelCnn::draw(std::int64_t count, Random& random, const Guidance& guidance) const {
  const NotRecording off;
  Sampler sampler(*this, guidance.copies() * count, guidance.labels());
  for (std::int64_t pixel = 0; pixel < image_.numel(); ++pixel) {
    const Bernoulli next(guidance(sampler.logit()));
    sampler.append(guidance.copied(next.sample(random.draw("sample/pixel"))));
  }
  return kernels::contiguous(sampler.images().slice(0, 0, count));
}

Tensor PixelCnn::sample(std::int64_t count, Random& random) {
  if (classes() == 0)
    return draw(count, random, {});
  return sample_given(kernels::integers({count}, classes(), random.draw("sample/label")), 1,
                      random);
}

Tensor PixelCnn::sample_given(const Tensor& labels, double guidance, Random& random) {
  return draw(labels.size(0), random, {options_.condition, labels, guidance});
}

Tensor PixelCnn::sample_by_whole_passes(std::int64_t count, Random& random,
                                        const Guidance& guidance) {
  const NotRecording off;
  const Tensor& weight = network_.logit.weight.value();
  const Tensor images = kernels::zeros(image_.inserted(0, count), DType::f32, weight.device());
  for (std::int64_t i = 0; i < image_[0]; ++i)
    for (std::int64_t j = 0; j < image_[1]; ++j) {
      const Variable all = guidance(logits(guidance.copied(images), guidance.labels())),
                     here = slice(slice(all, 1, i, i + 1), 2, j, j + 1);
      Tensor place = images.slice(1, i, i + 1).slice(2, j, j + 1);
      kernels::copy_into(place, Bernoulli(here).sample(random.draw("sample/pixel")));
    }
  return images;
}

// ---------------------------------------------------------------------------------------- presets

namespace {

std::unique_ptr<Model> make_pixelcnn(const Settings& settings, const DataInfo& data) {
  require<UsageError>(data.levels == 2,
                      "pixelcnn: its logits give black and white pixels their probability, and {} "
                      "has {} levels. Choose another --binarisation.",
                      data.name, data.levels);
  PixelCnn::Options options;
  options.width = settings.integer("width");
  options.layers = settings.integer("layers");
  options.condition = condition_of(settings, data);
  return std::make_unique<PixelCnn>(data.image, options);
}

}  // namespace

ModelDescription pixelcnn_description() {
  ModelDescription d;
  d.name = "pixelcnn";
  d.title =
      "van den Oord et al. (2016), Conditional Image Generation with PixelCNN Decoders (gated)";
  d.summary = "pixel by pixel: two stacks of gated convolutions, with an exact likelihood";
  d.settings = {{"width", "channels of each stack", 16, 32, 64, {}, 1},
                {"layers", "gated layers after the first", 3, 5, 7, {}, 1},
                steps_setting(500, 2500, 100000),
                batch_setting(32, 64, 64),
                rate_setting(3e-3, 2e-3, 1e-3),
                schedule_setting("cosine", "cosine", "constant")};
  const std::vector<Setting> condition = condition_settings();
  d.settings.insert(d.settings.end(), condition.begin(), condition.end());
  d.for_data = [](Settings& settings, Preset preset, const std::string& data) {
    const bool few_pixels = data == "bars" || data.starts_with("ising-");
    if (few_pixels && preset != Preset::paper)
      settings.set("steps", std::int64_t{preset == Preset::quick ? 2000 : 10000});
  };
  d.data = {"shapes", "bars",          "ising-0.2",      "ising-0.4",
            "mnist",  "fashion-mnist", "binarized-mnist"};
  d.faithfulness = {
      {"network", "gated layers, 7x7 then 3x3 kernels, width and depth by data set",
       "10 gated layers of 128 channels (MNIST)",
       "`paper`: 8 layers of 64; `small` 6 of 32, `quick` 4 of 16",
       "what two cores train in 15 minutes and in 30 s"},
      {"masks", "kernels multiplied by masks", "the same", "kernels without their dead taps",
       "nothing is multiplied by 0; the same functions"},
      {"residuals", "in the horizontal stack", "the same", "the same, but for the first layer",
       "it does not see its own pixel"},
      {"pixels", "256 levels, softmax", "2 levels on MNIST", "2 levels", "black and white data"},
      {"labels", "embedded, before the gate of each layer", "the same",
       "`--condition label`: the same, a tenth of them dropped",
       "samples can be guided (Ho & Salimans 2022)"},
      {"optimiser", "RMSProp", "Adam 1e-3, decayed", "Adam; `paper` 1e-3, else decayed to 0",
       "fewer steps"},
      {"data", "MNIST is of PixelRNN's paper: binarised by sampling", "the same", "the same",
       "comparable nats"},
  };
  d.make = make_pixelcnn;
  return d;
}

}  // namespace likely
