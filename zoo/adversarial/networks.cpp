#include "zoo/adversarial/networks.h"

#include <algorithm>

#include "kernels/copy.h"
#include "nn/convolution.h"
#include "nn/linear.h"
#include "nn/normalise.h"

namespace likely {

namespace {

// Hidden layers of one width, and a linear one.
class Mlp : public SampleNetwork {
 public:
  Mlp(std::int64_t in, std::int64_t out, const NetworkOptions& how)
      : out_(how.layers > 0 ? how.width : in, out) {
    for (std::int64_t i = 0; i < how.layers; ++i) {
      hidden_.push_back(std::make_unique<Linear>(i ? how.width : in, how.width,
                                                 how.smooth ? Activation::tanh : Activation::relu,
                                                 how.initialise));
      add(fmt::format("hidden.{}", i), *hidden_.back());
    }
    add("out", out_);
  }

  Variable operator()(const Variable& x) const override {
    Variable h = x;
    for (const auto& layer : hidden_)
      h = (*layer)(h);
    return out_(h);
  }

 private:
  std::vector<std::unique_ptr<Linear>> hidden_;
  Linear out_;
};

class MlpCritic : public Mlp {
 public:
  using Mlp::Mlp;
  Variable operator()(const Variable& x) const override { return squeeze(Mlp::operator()(x), 1); }
};

// A square image is halved while it stays 4 pixels wide or more: 64, 32, 16, 8, 4 and 28, 14, 7.
struct Pyramid {
  std::int64_t smallest, levels = 0, channels;
  explicit Pyramid(const Shape& image) : smallest(image[0]), channels(image[2]) {
    for (; smallest % 2 == 0 && smallest >= 8; smallest /= 2)
      ++levels;
    require<UsageError>(
        image[0] == image[1] && smallest <= 8 && levels > 0,
        "networks: images of {} are not square or cannot be halved down to 4 to 8 pixels. Crop or "
        "resize them.",
        image);
  }
};

const ConvolutionOptions halving{.stride = 2, .padding = 1};

// Convolutions in a row, each followed by a normalisation and an activation. Parts are numbered as
// in PyTorch's Sequential, where an activation has a number too.
class ImageNetwork : public SampleNetwork {
 protected:
  ImageNetwork(const Shape& image, const NetworkOptions& how, Activation usual)
      : pyramid_(image), how_(how), activation_(how.smooth ? Activation::tanh : usual) {}

  // The epilogue of a layer that a normalisation may follow.
  Activation activation(bool normalised) const {
    return normalised ? Activation::none : activation_;
  }
  template <class Layer>
  void add_convolution(std::vector<std::unique_ptr<Layer>>& to, std::int64_t in, std::int64_t out,
                       std::int64_t kernel, const ConvolutionOptions& options, Activation after) {
    to.push_back(
        std::make_unique<Layer>(in, out, kernel, options, after, how_.bias, how_.initialise));
    add(fmt::format("main.{}", number_++), *to.back());
  }
  // Also counts the activation.
  void add_normalisation(bool normalised, std::int64_t channels) {
    norms_.push_back(normalised ? std::make_unique<BatchNorm>(
                                      channels, BatchNorm::Options{.activation = activation_,
                                                                   .scale_from = how_.scale_from})
                                : nullptr);
    if (normalised)
      add(fmt::format("main.{}", number_++), *norms_.back());
    ++number_;
  }
  Variable normalise(std::size_t i, const Variable& h) const {
    return norms_[i] ? (*norms_[i])(h) : h;
  }
  // A linear layer's side that is an image: [rows, columns, channels], for PyTorch channels first.
  Tensor channels_first(const Tensor& value, int axis) const {
    const std::int64_t side = pyramid_.smallest, size = value.size(axis);
    Shape apart = value.shape().without(axis);
    for (const std::int64_t extent : {size / (side * side), side, side})
      apart = apart.inserted(axis, extent);
    std::vector<int> order;
    for (int i = 0; i < value.rank() + 2; ++i)
      order.push_back(i);
    std::rotate(order.begin() + axis, order.begin() + axis + 2, order.begin() + axis + 3);
    return kernels::contiguous(value.reshape(apart).permute(order)).reshape(value.shape());
  }

  Pyramid pyramid_;
  NetworkOptions how_;

 private:
  Activation activation_;
  std::vector<std::unique_ptr<BatchNorm>> norms_;  // null where a layer has none
  int number_ = 0;
};

// z becomes an image of `smallest` pixels, and doubles level by level; half the channels each time.
class ImageGenerator : public ImageNetwork {
 public:
  ImageGenerator(const Shape& image, const NetworkOptions& how)
      : ImageNetwork(image, how, Activation::relu) {
    const std::int64_t side = pyramid_.smallest;
    std::int64_t channels = how.width << (pyramid_.levels - 1);
    if (how.ends == Ends::convolution) {
      add_convolution(up_, how.latents, channels, side, {}, activation(how.normalised));
    } else {
      lift_ = std::make_unique<Linear>(how.latents, side * side * channels,
                                       activation(how.normalised), how.initialise);
      add("lift", *lift_);
    }
    add_normalisation(how.normalised, channels);
    for (std::int64_t level = 1; level < pyramid_.levels; ++level, channels /= 2) {
      add_convolution(up_, channels, channels / 2, 4, halving, activation(how.normalised));
      add_normalisation(how.normalised, channels / 2);
    }
    add_convolution(up_, channels, pyramid_.channels, 4, halving, Activation::tanh);
  }

  Variable operator()(const Variable& z) const override {
    const std::int64_t n = z.size(0), side = pyramid_.smallest;
    Variable h = lift_ ? reshape((*lift_)(z), {n, side, side, how_.width << (pyramid_.levels - 1)})
                       : (*up_[0])(reshape(z, {n, 1, 1, z.size(1)}));
    h = normalise(0, h);
    const std::size_t first = lift_ ? 0 : 1;
    for (std::size_t i = first; i + 1 < up_.size(); ++i)
      h = normalise(i + 1 - first, (*up_[i])(h));
    return (*up_.back())(h);
  }

 protected:
  Named in_pytorch(const std::string& name, const Tensor& value) const override {
    return {name, name.starts_with("lift.") ? channels_first(value, 0) : value};
  }

 private:
  std::unique_ptr<Linear> lift_;
  std::vector<std::unique_ptr<TransposedConvolution>> up_;
};

// The image is halved level by level, with twice the channels each time, and becomes a number.
class ImageCritic : public ImageNetwork {
 public:
  ImageCritic(const Shape& image, const NetworkOptions& how)
      : ImageNetwork(image, how, Activation::leaky_relu) {
    std::int64_t in = pyramid_.channels, out = how.width;
    for (std::int64_t level = 0; level < pyramid_.levels; ++level, in = out, out *= 2) {
      const bool normalised = how.normalised && level > 0;
      add_convolution(down_, in, out, 4, halving, activation(normalised));
      add_normalisation(normalised, out);
    }
    const std::int64_t side = pyramid_.smallest;
    if (how.ends == Ends::convolution) {
      add_convolution(down_, in, 1, side, {}, Activation::none);
    } else {
      out_ = std::make_unique<Linear>(side * side * in, 1);
      add("out", *out_);
    }
  }

  Variable operator()(const Variable& x) const override {
    const std::size_t levels = static_cast<std::size_t>(pyramid_.levels);
    Variable h = x;
    for (std::size_t i = 0; i < levels; ++i)
      h = normalise(i, (*down_[i])(h));
    h = out_ ? (*out_)(reshape(h, {x.size(0), h.shape().without(0).numel()})) : (*down_[levels])(h);
    return reshape(h, {x.size(0)});
  }

 protected:
  Named in_pytorch(const std::string& name, const Tensor& value) const override {
    return {name, name == "out.weight" ? channels_first(value, 1) : value};
  }

 private:
  std::vector<std::unique_ptr<Convolution>> down_;
  std::unique_ptr<Linear> out_;
};

}  // namespace

std::unique_ptr<SampleNetwork> make_generator(const SampleSpace& space, const NetworkOptions& how) {
  if (space.points())
    return std::make_unique<Mlp>(how.latents, space.shape().numel(), how);
  return std::make_unique<ImageGenerator>(space.shape(), how);
}

std::unique_ptr<SampleNetwork> make_critic(const SampleSpace& space, const NetworkOptions& how) {
  if (space.points())
    return std::make_unique<MlpCritic>(space.shape().numel(), 1, how);
  return std::make_unique<ImageCritic>(space.shape(), how);
}

}  // namespace likely
