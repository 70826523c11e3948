// Ho et al. 2020, appendix B: the U-Net of Ronneberger et al. 2015 from residual blocks, with
// self-attention on small maps.
#include <algorithm>

#include "nn/convolution.h"
#include "nn/normalise.h"
#include "zoo/diffusion/denoiser.h"

namespace likely {
namespace {

constexpr kernels::Normalise then_silu{1e-5, Activation::silu};

class ResidualBlock : public Module {
 public:
  ResidualBlock(std::int64_t in, std::int64_t out, std::int64_t features, const UnetOptions& how)
      : dropout_(how.dropout),
        before_(in, how.groups, then_silu),
        first_(in, out, 3, {.padding = 1}),
        of_time_(features, out),
        between_(out, how.groups, then_silu),
        second_(out, out, 3, {.padding = 1}, Activation::none, Bias::yes, how.last) {
    add("before", before_);
    add("first", first_);
    add("of_time", of_time_);
    add("between", between_);
    add("second", second_);
    if (in != out)
      add("shortcut", shortcut_.emplace(in, out));
  }

  // x [n, h, w, in], time [n, features] → [n, h, w, out]
  Variable operator()(const Variable& x, const Variable& time, Random* random) const {
    Variable h = between_(first_(before_(x)), of_time_(time));
    if (random && dropout_ > 0)
      h = dropout(h, 1 - dropout_, random->draw("train/dropout"));
    return second_(h) + (shortcut_ ? (*shortcut_)(x) : x);
  }

 private:
  double dropout_;
  GroupNorm before_;
  Convolution first_;
  Linear of_time_;
  GroupNorm between_;
  Convolution second_;
  std::optional<Linear> shortcut_;
};

class AttentionBlock : public Module {
 public:
  AttentionBlock(std::int64_t channels, const UnetOptions& how)
      : before_(channels, how.groups),
        query_(channels, channels),
        key_(channels, channels),
        value_(channels, channels),
        out_(channels, channels, Activation::none, how.last) {
    add("before", before_);
    add("query", query_);
    add("key", key_);
    add("value", value_);
    add("out", out_);
  }

  // Each pixel attends to all, by one head.
  Variable operator()(const Variable& x) const {
    const Shape tokens{x.size(0), x.size(1) * x.size(2), 1, x.size(3)};
    const Variable seen = reshape(before_(x), tokens);
    const Variable found = attention(query_(seen), key_(seen), value_(seen));
    return x + reshape(out_(found), x.shape());
  }

 private:
  GroupNorm before_;
  Linear query_, key_, value_, out_;
};

// A residual block, and attention where the level has it.
class Block : public Module {
 public:
  Block(std::int64_t in, std::int64_t out, bool attends, std::int64_t features,
        const UnetOptions& how)
      : residual_(in, out, features, how) {
    add("residual", residual_);
    if (attends)
      add("attention", attention_.emplace(out, how));
  }
  Variable operator()(const Variable& x, const Variable& time, Random* random) const {
    const Variable h = residual_(x, time, random);
    return attention_ ? (*attention_)(h) : h;
  }

 private:
  ResidualBlock residual_;
  std::optional<AttentionBlock> attention_;
};

struct Resolution {
  std::vector<std::unique_ptr<Block>> blocks;
  std::unique_ptr<Convolution>
      resize;  // to half the size, or after it was doubled; at one end none
};

class Unet : public Denoiser {
 public:
  Unet(const Shape& image, std::int64_t steps, const UnetOptions& how)
      : features_(4 * how.width),
        how_(how),
        time_(steps, how.width, features_, how.labels),
        in_(image[2], how.width, 3, {.padding = 1}),
        middle_(top(), top(), true, features_, how),
        last_block_(top(), top(), false, features_, how),
        norm_(how.width, how.groups, then_silu),
        out_(how.width, image[2], 3, {.padding = 1}, Activation::none, Bias::yes, how.last) {
    add("time", time_);
    add("in", in_);
    std::vector<std::int64_t> kept{how.width};  // channels of what crosses over to the way up
    std::int64_t channels = how.width;
    const auto levels = static_cast<std::int64_t>(how.multipliers.size());
    for (std::int64_t l = 0; l < levels; ++l)
      down_.push_back(go_down(l, levels, channels, kept));
    add("middle.0", middle_);
    add("middle.1", last_block_);
    for (std::int64_t l = levels - 1; l >= 0; --l)
      up_.push_back(go_up(l, channels, kept));
    add("norm", norm_);
    add("out", out_);
  }

  Variable operator()(const Variable& x, const StepAndLabels& given,
                      Random* random) const override {
    const Variable time = time_(given, x.dtype());
    const kernels::Padding border = border_of(x);
    const bool whole = border.top + border.bottom + border.left + border.right == 0;
    Variable h = in_(whole ? x : pad(x, border));  // [n, H, W, channels], H and W can be halved
    Variables kept{h};
    for (const auto& level : down_) {
      for (const auto& block : level->blocks)
        kept.push_back(h = (*block)(h, time, random));
      if (level->resize)
        kept.push_back(h = (*level->resize)(h));
    }
    h = last_block_(middle_(h, time, random), time, random);
    for (const auto& level : up_) {
      for (const auto& block : level->blocks) {
        h = (*block)(concatenate({h, kept.back()}, -1), time, random);
        kept.pop_back();
      }
      if (level->resize)
        h = (*level->resize)(upsample_nearest(h, 2));
    }
    const Variable found = out_(norm_(h));
    if (whole)
      return found;
    const Variable rows = slice(found, 1, border.top, border.top + x.size(1));
    return slice(rows, 2, border.left, border.left + x.size(2));
  }

 private:
  // Zeros around images that cannot be halved as often as there are levels: 28 becomes 32.
  kernels::Padding border_of(const Variable& x) const {
    const std::int64_t unit = std::int64_t{1} << (down_.size() - 1);
    const auto missing = [&](int axis) { return (unit - x.size(axis) % unit) % unit; };
    return {missing(1) / 2, missing(1) - missing(1) / 2, missing(2) / 2,
            missing(2) - missing(2) / 2};
  }

  std::int64_t top() const { return how_.width * how_.multipliers.back(); }

  std::unique_ptr<Resolution> go_down(std::int64_t l, std::int64_t levels, std::int64_t& channels,
                                      std::vector<std::int64_t>& kept) {
    auto level = std::make_unique<Resolution>();
    const std::int64_t out = how_.width * how_.multipliers[static_cast<std::size_t>(l)];
    for (std::int64_t b = 0; b < how_.blocks; ++b) {
      append(*level, fmt::format("down.{}.{}", l, b), channels, out, l);
      kept.push_back(channels = out);
    }
    if (l + 1 < levels) {
      level->resize =
          std::make_unique<Convolution>(out, out, 3, ConvolutionOptions{.stride = 2, .padding = 1});
      add(fmt::format("down.{}.resize", l), *level->resize);
      kept.push_back(out);
    }
    return level;
  }

  std::unique_ptr<Resolution> go_up(std::int64_t l, std::int64_t& channels,
                                    std::vector<std::int64_t>& kept) {
    auto level = std::make_unique<Resolution>();
    const std::int64_t out = how_.width * how_.multipliers[static_cast<std::size_t>(l)];
    for (std::int64_t b = 0; b <= how_.blocks; ++b) {
      append(*level, fmt::format("up.{}.{}", l, b), channels + kept.back(), out, l);
      kept.pop_back();
      channels = out;
    }
    if (l > 0) {
      level->resize = std::make_unique<Convolution>(out, out, 3, ConvolutionOptions{.padding = 1});
      add(fmt::format("up.{}.resize", l), *level->resize);
    }
    return level;
  }

  void append(Resolution& level, const std::string& name, std::int64_t in, std::int64_t out,
              std::int64_t l) {
    level.blocks.push_back(std::make_unique<Block>(in, out, l == how_.attention, features_, how_));
    add(name, *level.blocks.back());
  }

  std::int64_t features_;
  UnetOptions how_;
  GivenFeatures time_;
  Convolution in_;
  std::vector<std::unique_ptr<Resolution>> down_, up_;
  Block middle_, last_block_;
  GroupNorm norm_;
  Convolution out_;
};

}  // namespace

std::unique_ptr<Denoiser> make_unet(const Shape& image, std::int64_t steps,
                                    const UnetOptions& how) {
  require<UsageError>(!how.multipliers.empty(),
                      "unet: no level. Give --multipliers such as 1,2,2.");
  const std::int64_t halvings = static_cast<std::int64_t>(how.multipliers.size()) - 1;
  require<UsageError>(image.rank() == 3 && halvings < 32 &&
                          std::min(image[0], image[1]) >= std::int64_t{1} << halvings,
                      "unet: images of {} cannot be halved {} times. Give fewer --multipliers.",
                      image, halvings);
  for (const std::int64_t multiplier : how.multipliers)
    require<UsageError>(
        multiplier >= 1 && how.width * multiplier % how.groups == 0 && how.width % how.groups == 0,
        "unet: {} channels do not divide into {} groups. Choose a --width that "
        "does, or other --groups.",
        how.width * multiplier, how.groups);
  return std::make_unique<Unet>(image, steps, how);
}

}  // namespace likely
