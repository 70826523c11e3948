#include "zoo/autoregressive/head.h"

#include "kernels/copy.h"
#include "nn/distributions.h"

namespace likely {
namespace {

// All values of a byte, in [0, 1].
Tensor values_of(std::int64_t levels, const Variable& like) {
  std::vector<double> values;
  for (std::int64_t level = 0; level < levels; ++level)
    values.push_back(static_cast<double>(level) / static_cast<double>(levels - 1));
  return kernels::cast(Tensor::of({levels}, values), like.dtype()).to(like.value().device());
}

// Two 1 x 1 layers a channel (red, then green, then blue), of which the first also sees the pixel's
// channels before it.
class LevelsHead : public Head {
 public:
  LevelsHead(std::int64_t width, std::int64_t channels, std::int64_t outputs) {
    for (std::int64_t c = 0; c < channels; ++c) {
      channels_.push_back(std::make_unique<Channel>(width, c, outputs));
      add(fmt::format("{}", c), *channels_.back());
    }
  }

  Variable log_prob(const Variable& features, const Variable& x) const override {
    const Variable seen = relu(features);
    Variable total;
    for (std::int64_t c = 0; c < channels(); ++c) {
      const Variable of_channel = log_prob_of(outputs(seen, x, c), slice(x, -1, c, c + 1));
      total = c == 0 ? of_channel : total + of_channel;
    }
    return total;
  }
  Variable log_probabilities(const Variable& features, const Variable& x,
                             std::int64_t channel) const override {
    return log_probabilities_of(outputs(relu(features), x, channel));
  }
  Tensor sample(const Variable& features, const Guidance& guidance, Random& random) const override {
    const Variable seen = relu(features);
    Tensor pixel;
    for (std::int64_t c = 0; c < channels(); ++c) {
      const Variable before = c > 0 ? Variable(guidance.copied(pixel)) : none;
      const Tensor value = draw(guidance(outputs(seen, before, c)), random.draw("sample/pixel"));
      pixel = c > 0 ? kernels::concatenate({pixel, value}, -1) : value;
    }
    return pixel;
  }

 protected:
  // One channel's outputs and its values [n, height, width, 1].
  virtual Variable log_prob_of(const Variable& outputs, const Variable& x) const = 0;  // [n]
  virtual Variable log_probabilities_of(const Variable& outputs) const = 0;
  virtual Tensor draw(const Variable& outputs, const Draw& draw) const = 0;

 private:
  struct Channel : Module {
    Channel(std::int64_t width, std::int64_t before, std::int64_t outputs)
        : hidden(width + before, width, 1, {}, Activation::relu), logits(width, outputs, 1) {
      add("hidden", hidden);
      add("logits", logits);
    }
    Convolution hidden, logits;
  };
  std::int64_t channels() const { return static_cast<std::int64_t>(channels_.size()); }
  Variable outputs(const Variable& seen, const Variable& x, std::int64_t channel) const {
    const Channel& layers = *channels_[static_cast<std::size_t>(channel)];
    return layers.logits(
        layers.hidden(channel > 0 ? concatenate({seen, slice(x, -1, 0, channel)}, -1) : seen));
  }

  std::vector<std::unique_ptr<Channel>> channels_;
};

// Black or white, by one logit.
class BinaryHead final : public LevelsHead {
 public:
  BinaryHead(std::int64_t width, std::int64_t channels) : LevelsHead(width, channels, 1) {}

 protected:
  Variable log_prob_of(const Variable& logits, const Variable& x) const override {
    return sum(Bernoulli(logits).log_prob(x), {1, 2, 3});
  }
  Variable log_probabilities_of(const Variable& logits) const override {
    return Bernoulli(logits).log_prob(values_of(2, logits));
  }
  Tensor draw(const Variable& logits, const Draw& draw) const override {
    return Bernoulli(logits).sample(draw);
  }
};

// Any distribution over the levels.
class SoftmaxHead final : public LevelsHead {
 public:
  SoftmaxHead(std::int64_t width, std::int64_t channels, std::int64_t levels)
      : LevelsHead(width, channels, levels), most_(static_cast<double>(levels - 1)) {}

 protected:
  Variable log_prob_of(const Variable& logits, const Variable& x) const override {
    return sum(Categorical(logits).log_prob(levels_of(x)), {1, 2});
  }
  Variable log_probabilities_of(const Variable& logits) const override {
    return log_softmax(logits, -1);
  }
  Tensor draw(const Variable& logits, const Draw& draw) const override {
    const Tensor level = Categorical(logits).sample(draw).unsqueeze(-1);
    const Variable most = kernels::full({}, most_, logits.dtype(), level.device());
    return (Variable(kernels::cast(level, logits.dtype())) / most).value();  // as data is made
  }

 private:
  // The bytes of x [n, height, width, 1]: i64 [n, height, width].
  Tensor levels_of(const Variable& x) const {
    const NotRecording constant;
    return kernels::cast((x * most_ + 0.5).value(), DType::i64).squeeze(-1);
  }

  double most_;
};

// Salimans, Karpathy, Chen & Kingma (2017), PixelCNN++: the channels of a pixel together, by a
// mixture of discretised logistics whose means lean on the channels before.
class MixtureHead final : public Head {
 public:
  MixtureHead(std::int64_t width, std::int64_t channels, std::int64_t levels,
              std::int64_t components)
      : channels_(channels),
        levels_(levels),
        components_(components),
        hidden_(width, width, 1, {}, Activation::relu),
        parameters_(width, DiscretisedLogisticMixture::parameters(channels, components), 1) {
    add("hidden", hidden_);
    add("parameters", parameters_);
  }

  Variable log_prob(const Variable& features, const Variable& x) const override {
    return sum(mixture(features).log_prob(x), {1, 2});
  }
  Variable log_probabilities(const Variable& features, const Variable& x,
                             std::int64_t channel) const override {
    return mixture(features).log_probabilities(x, channel);
  }
  Tensor sample(const Variable& features, const Guidance& guidance, Random& random) const override {
    require<UsageError>(guidance.copies() == 1,
                        "sample: guidance is defined for logits, and a mixture has other "
                        "parameters too. Use --guidance 1, or train with --head softmax.");
    return mixture(features).sample(random.draw("sample/component"), random.draw("sample/pixel"));
  }

 private:
  DiscretisedLogisticMixture mixture(const Variable& features) const {
    return {parameters_(hidden_(relu(features))), channels_, levels_};
  }

  std::int64_t channels_, levels_, components_;
  Convolution hidden_, parameters_;
};

}  // namespace

std::vector<Setting> head_settings(std::int64_t components) {
  return {fixed_setting("head", "what a pixel is drawn from", std::string("binary"),
                        {"binary", "softmax", "mixture"}),
          fixed_setting("components", "of the mixture of discretised logistics", components,
                        Range{1, 1000})};
}

HeadOptions head_options(const Settings& settings, const DataInfo& data) {
  const HeadOptions options{settings.text("head"), settings.integer("components")};
  require<UsageError>((options.kind == "binary") == (data.levels == 2),
                      "--head {}: the pixels of {} have {} levels. Use --head {}.", options.kind,
                      data.name, data.levels,
                      data.levels == 2 ? "binary" : "softmax or --head mixture, or another --data");
  return options;
}

std::unique_ptr<Head> make_head(const HeadOptions& options, std::int64_t width,
                                std::int64_t channels, std::int64_t levels) {
  if (options.kind == "binary")
    return std::make_unique<BinaryHead>(width, channels);
  if (options.kind == "softmax")
    return std::make_unique<SoftmaxHead>(width, channels, levels);
  return std::make_unique<MixtureHead>(width, channels, levels, options.components);
}

}  // namespace likely
