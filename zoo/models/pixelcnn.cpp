#include "zoo/models/pixelcnn.h"

#include "kernels/copy.h"

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

PixelCnn::PixelCnn(std::int64_t channels, std::int64_t levels, const Options& options)
    : width_(options.width) {
  for (std::int64_t i = 0; i <= options.layers; ++i) {
    layers_.push_back(std::make_unique<Layer>(i == 0 ? channels : width_, i == 0, options));
    add(fmt::format("layers.{}", i), *layers_.back());
  }
  head = make_head(options.head, width_, channels, levels);
  add("head", *head);
}

Variable PixelCnn::features(const Variable& x, const Tensor& labels) const {
  Features features{none, x, x};
  for (const auto& layer : layers_)
    features = (*layer)(features.gated, features.horizontal, layer->given(labels));
  return features.horizontal;
}

// In both stacks every layer adds its kernel's reach to that of the layers before it.
std::int64_t PixelCnn::reach() const {
  return reach_of(true) + (static_cast<std::int64_t>(layers_.size()) - 1) * reach_of(false);
}

// ------------------------------------------------------------------------------- pixel by pixel

// A pixel changes nothing of the vertical stack in its own row, and of the horizontal one only what
// stands to its right: so the former is computed row by row, and the latter pixel by pixel, from
// the features of the pixel before.
class PixelCnn::Cache : public PixelCache {
 public:
  Cache(const PixelCnn& network, const Shape& image, std::int64_t count, const Tensor& labels)
      : PixelCache(image, count, reach_of(true), network.device()), layers_(network.layers_) {
    for (const auto& layer : layers_) {
      given_.push_back(layer->given(labels));
      if (!layer->first)
        above_.push_back(
            kernels::zeros({count, 2, width + 2, network.width_}, DType::f32, framed.device()));
    }
  }

  Variable features() override {
    if (column == 0)
      begin_row();
    const auto at = [&](std::size_t l) { return slice(joined_[l], 2, column, column + 1); };
    const Tensor seen =
        framed.slice(1, row + frame, row + frame + 1).slice(2, column, column + frame);
    Variable h = layers_[0]->end(inside(layers_[0]->horizontal, seen), at(0), none, given_[0]);
    for (std::size_t l = 0; l < above_.size(); ++l) {
      const Layer& layer = *layers_[l + 1];
      Variable& left = left_[l];
      if (!left.defined())
        left = kernels::zeros(h.shape(), h.dtype(), framed.device());
      const Variable pair = concatenate({left, h}, 2);
      left = h;
      h = layer.end(inside(layer.horizontal, pair), at(l + 1), h, given_[l + 1]);
    }
    return h;
  }

 private:
  // What the vertical stack gives to each layer's horizontal one.
  void begin_row() {
    joined_.clear();
    left_.assign(above_.size(), Variable());
    Variable v = inside(layers_[0]->vertical, framed.slice(1, row, row + frame));
    for (std::size_t l = 0;; ++l) {
      joined_.push_back(layers_[l]->joined(v));
      if (l == above_.size())
        return;
      Tensor &rows = above_[l], before = rows.slice(1, 0, 1), now = rows.slice(1, 1, 2);
      kernels::copy_into(before, kernels::contiguous(now));
      Tensor middle = now.slice(2, 1, width + 1);
      kernels::copy_into(middle, gate(v, given_[l].vertical).value());
      v = inside(layers_[l + 1]->vertical, rows);
    }
  }

  const std::vector<std::unique_ptr<Layer>>& layers_;
  std::vector<Tensor> above_;     // of layers but the first: two rows of what their kernels see
  std::vector<Given> given_;      // of each layer
  std::vector<Variable> joined_;  // of this row
  std::vector<Variable> left_;    // of layers but the first: what they saw at the pixel before
};

std::unique_ptr<PixelCache> PixelCnn::cache(const Shape& image, std::int64_t count,
                                            const Tensor& labels) const {
  return std::make_unique<Cache>(*this, image, count, labels);
}

std::unique_ptr<PixelModel> make_pixelcnn(const Shape& image, std::int64_t levels,
                                          const PixelCnn::Options& options) {
  return std::make_unique<PixelModel>(
      "pixelcnn", image, std::make_unique<PixelCnn>(image[2], levels, options), options.condition);
}

// ---------------------------------------------------------------------------------------- presets

namespace {

std::unique_ptr<Model> make(const Settings& settings, const DataInfo& data) {
  PixelCnn::Options options;
  options.width = settings.integer("width");
  options.layers = settings.integer("layers");
  options.head = head_options(settings, data);
  options.condition = condition_of(settings, data);
  return make_pixelcnn(data.image, data.levels, options);
}

}  // namespace

ModelDescription pixelcnn_description() {
  ModelDescription d;
  d.name = "pixelcnn";
  d.title =
      "van den Oord et al. (2016), Conditional Image Generation with PixelCNN Decoders (gated)";
  d.summary = "pixel by pixel: two stacks of gated convolutions, with an exact likelihood";
  d.settings = {{"width", "channels of each stack", 16, 32, 64, {}, of_width},
                {"layers", "gated layers after the first", 3, 5, 7, {}, of_layers},
                steps_setting(500, 7500, 100000),
                batch_setting(32, 16, 64),
                rate_setting(3e-3, 2e-3, 1e-3),
                schedule_setting("cosine", "cosine", "constant")};
  for (const auto& settings : {head_settings(10), condition_settings()})
    d.settings.insert(d.settings.end(), settings.begin(), settings.end());
  d.for_data = pixels_for_data;
  d.data = pixels_data();
  d.faithfulness = {
      {"network", "gated layers, 7x7 then 3x3 kernels, width and depth by data set",
       "10 gated layers of 128 channels (MNIST)",
       "`paper`: 8 layers of 64; `small` 6 of 32, `quick` 4 of 16",
       "what two cores train in 15 minutes and in 30 s"},
      {"masks", "kernels multiplied by masks", "the same", "kernels without their dead taps",
       "nothing is multiplied by 0; the same functions"},
      {"residuals", "in the horizontal stack", "the same", "the same, but for the first layer",
       "it does not see its own pixel"},
      {"pixels", "256 levels, softmax", "2 levels on MNIST",
       "`--head`: 2 levels of black and white data, else 256 by softmax or by a mixture",
       "a mixture of 10 discretised logistics is PixelCNN++'s (Salimans et al. 2017)"},
      {"colours", "all layers in three groups, red before green before blue", "the same",
       "the last hidden layer of green also sees red, that of blue red and green",
       "a pixel is visited once, and the layers below have no masks by group"},
      {"labels", "embedded, before the gate of each layer", "the same",
       "`--condition label`: the same, a tenth of them dropped",
       "so that samples can be guided (Ho & Salimans 2022)"},
      {"optimiser", "RMSProp", "Adam 1e-3, decayed", "Adam; `paper` 1e-3, else decayed to 0",
       "fewer steps"},
      {"data", "MNIST is of PixelRNN's paper: binarised by sampling", "the same", "the same",
       "comparable nats"},
  };
  d.make = make;
  return d;
}

}  // namespace likely
