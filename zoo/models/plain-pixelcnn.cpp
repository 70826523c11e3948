#include "zoo/models/plain-pixelcnn.h"

#include "kernels/copy.h"

namespace likely {

// ------------------------------------------------------------------------------------ the network

constexpr std::int64_t first_reach = 3;  // of 7 x 7 kernels; 3 x 3 ones reach 1

PlainPixelCnn::Masked::Masked(std::int64_t in, std::int64_t out, std::int64_t reach, char mask)
    : sees_itself(mask == 'B'),
      above(in, out, {reach, 2 * reach + 1}, {.padding = {reach, 0, reach, reach}}),
      left(in, out, {1, reach + (sees_itself ? 1 : 0)}, {.padding = {0, 0, reach, 0}},
           Activation::none, Bias::no) {
  add("above", above);
  add("left", left);
}

// Without its last row or column, an image lies one further down or to the right.
Variable PlainPixelCnn::Masked::operator()(const Variable& x) const {
  return above(slice(x, 1, 0, x.size(1) - 1)) +
         left(sees_itself ? x : slice(x, 2, 0, x.size(2) - 1));
}

PlainPixelCnn::Block::Block(std::int64_t width)
    : in(2 * width, width, 1, {}, Activation::relu),
      masked(width, width, 1, 'B'),
      out(width, 2 * width, 1) {
  add("in", in);
  add("masked", masked);
  add("out", out);
}

PlainPixelCnn::PlainPixelCnn(std::int64_t channels, std::int64_t levels, const Options& options)
    : width_(options.width), first_(channels, 2 * width_, first_reach, 'A') {
  add("first", first_);
  for (std::int64_t i = 0; i < options.blocks; ++i) {
    blocks_.push_back(std::make_unique<Block>(width_));
    add(fmt::format("blocks.{}", i), *blocks_.back());
  }
  head = make_head(options.head, 2 * width_, channels, levels);
  add("head", *head);
}

Variable PlainPixelCnn::features(const Variable& x, const Tensor&) const {
  Variable h = first_(x);
  for (const auto& block : blocks_)
    h = block->end(block->masked(block->begin(h)), h);
  return h;
}

std::int64_t PlainPixelCnn::reach() const {
  return first_reach + static_cast<std::int64_t>(blocks_.size());
}

// ------------------------------------------------------------------------------- pixel by pixel

// What the rows above give to a row is computed when it begins, for all of it at once; what the
// pixels to the left give, pixel by pixel.
class PlainPixelCnn::Cache : public PixelCache {
 public:
  Cache(const PlainPixelCnn& network, const Shape& image, std::int64_t count)
      : PixelCache(image, count, first_reach, network.device()), network_(network) {
    for (std::size_t i = 0; i < network.blocks_.size(); ++i)
      rows_.push_back(
          kernels::zeros({count, 1, width + 2, network.width_}, DType::f32, framed.device()));
  }

  Variable features() override {
    if (column == 0)
      begin_row();
    const auto at = [&](const Variable& all) { return slice(all, 2, column, column + 1); };
    const Tensor seen =
        framed.slice(1, row + frame, row + frame + 1).slice(2, column, column + frame);
    Variable h = at(first_) + inside(network_.first_.left, seen);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const Block& block = *network_.blocks_[i];
      kernels::copy_into(rows_[i].slice(2, column + 1, column + 2), block.begin(h).value());
      const Tensor pair = rows_[i].slice(2, column, column + 2);
      h = block.end(at(above_[i]) + inside(block.masked.left, pair), h);
    }
    return h;
  }

 private:
  void begin_row() {
    first_ = inside(network_.first_.above, framed.slice(1, row, row + frame));
    above_.clear();
    for (std::size_t i = 0; i < rows_.size(); ++i)
      above_.push_back(inside(network_.blocks_[i]->masked.above, rows_[i]));
  }

  const PlainPixelCnn& network_;
  std::vector<Tensor> rows_;     // what each block's masked kernel sees: of this row, until a pixel
                                 // is overwritten the row before
  Variable first_;               // what the rows above give to this one
  std::vector<Variable> above_;  // the same, block by block
};

std::unique_ptr<PixelCache> PlainPixelCnn::cache(const Shape& image, std::int64_t count,
                                                 const Tensor&) const {
  return std::make_unique<Cache>(*this, image, count);
}

std::unique_ptr<PixelModel> make_plain_pixelcnn(const Shape& image, std::int64_t levels,
                                                const PlainPixelCnn::Options& options) {
  return std::make_unique<PixelModel>("plain-pixelcnn", image,
                                      std::make_unique<PlainPixelCnn>(image[2], levels, options),
                                      Condition{});
}

// ---------------------------------------------------------------------------------------- presets

namespace {

std::unique_ptr<Model> make(const Settings& settings, const DataInfo& data) {
  return make_plain_pixelcnn(data.image, data.levels,
                             {.width = settings.integer("width"),
                              .blocks = settings.integer("blocks"),
                              .head = head_options(settings, data)});
}

}  // namespace

ModelDescription plain_pixelcnn_description() {
  ModelDescription d;
  d.name = "plain-pixelcnn";
  d.title = "van den Oord et al. (2016), Pixel Recurrent Neural Networks (PixelCNN)";
  d.summary = "pixel by pixel: one stack of masked convolutions, with an exact likelihood";
  d.settings = {
      {"width", "channels inside a block, half of those between blocks", 16, 16, 128, {}, of_width},
      {"blocks", "residual blocks", 3, 7, 15, {}, of_layers},
      steps_setting(500, 2500, 100000),
      batch_setting(32, 64, 16),
      rate_setting(3e-3, 2e-3, 1e-3),
      schedule_setting("cosine", "cosine", "constant")};
  const std::vector<Setting> head = head_settings(10);
  d.settings.insert(d.settings.end(), head.begin(), head.end());
  d.for_data = pixels_for_data;
  d.data = pixels_data();
  d.faithfulness = {
      {"network", "15 blocks of h = 128 (CIFAR-10)", "as the paper",
       "`paper`: the same; `small` 7 of 16, `quick` 3 of 16",
       "what two cores train in 15 minutes and in 30 s"},
      {"masks", "kernels multiplied by masks A and B", "the same",
       "the rows above and what is to the left, as two kernels of live taps",
       "nothing is multiplied by 0; the same functions"},
      {"blind spot", "not mentioned; shown in the gated PixelCNN's paper", "there", "there",
       "it is what that paper mends"},
      {"colours", "all layers in three groups, red before green before blue", "the same",
       "the last hidden layer of green also sees red, that of blue red and green",
       "a pixel is visited once, and the layers below have no masks by group"},
      {"optimiser", "RMSProp", "Adam", "Adam; `paper` 1e-3, else decayed to 0", "fewer steps"},
  };
  d.make = make;
  return d;
}

}  // namespace likely
