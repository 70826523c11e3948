#include "zoo/models/ddpm.h"

#include <algorithm>
#include <charconv>
#include <numbers>
#include <numeric>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "tensor/shown.h"
#include "zoo/adversarial/settings.h"
#include "zoo/run/latents.h"

namespace likely {

// ------------------------------------------------------------------------------------- the model

Ddpm::Ddpm(const Diffusion& diffusion, const Options& options)
    : diffusion_(diffusion),
      options_(options),
      weight_(diffusion.schedule.steps(),
              [&](std::int64_t t) {
                return diffusion.schedule.weight(t, options.variance) *
                       static_cast<double>(diffusion.schedule.steps());
              }),
      denoiser_(
          diffusion.space.points()
              ? make_mlp(diffusion.space.shape().numel(), diffusion.schedule.steps(), options.width,
                         options.layers)
              : make_unet(diffusion.space.shape(), diffusion.schedule.steps(), options.unet)) {}

std::vector<Network> Ddpm::networks() { return {{"ddpm", *denoiser_, options_.optimiser}}; }

// The mean over dimensions of the squared error (equation 14), or nats a sample: the bound without
// what no network changes, by equation 12 at every t.
Variable Ddpm::loss(std::size_t, const Batch& batch, Random& random) {
  const Variable x0 = diffusion_.space.from_data(kernels::contiguous(batch.images));
  const Tensor step =
      kernels::integers({x0.size(0)}, diffusion_.schedule.steps(), random.draw("train/time"));
  const Variable noise = kernels::normal(x0.shape(), random.draw("train/noise"), x0.dtype());
  StepAndLabels given{step, {}};
  if (classes() > 0)
    given.labels = drop_some(batch.condition, options_.condition, random.draw("train/label"));
  const Variable error =
      square(noise - (*denoiser_)(diffusion_.diffuse(x0, step, noise), given, &random));
  if (options_.objective == Objective::simple)
    return mean(error);
  return sum(error * weight_.each(step, x0)) / static_cast<double>(x0.size(0));
}

PredictNoise Ddpm::predict(const Guidance& guidance) const {
  return [this, guidance](const Variable& x, const Tensor& step) {
    return guidance((*denoiser_)(guidance.copied(x.value()),
                                 {guidance.copied(step), guidance.labels()}, nullptr));
  };
}

Guidance Ddpm::unlabelled(std::int64_t count, Random& random) const {
  const Condition& condition = options_.condition;
  if (condition.classes == 0)
    return {};
  const Draw draw = random.draw("evaluate/label");
  return {condition,
          condition.dropped > 0 ? kernels::full({count}, static_cast<double>(condition.classes),
                                                DType::i64, random.state().device())
                                : kernels::integers({count}, condition.classes, draw),
          1};
}

Likelihood Ddpm::likelihood(const Tensor& samples, std::int64_t strata, Random& random,
                            const std::function<void(std::int64_t)>& done) {
  const std::int64_t count = samples.size(0), together = diffusion_.space.points() ? 4096 : 64;
  Likelihood likelihood;
  likelihood.kind = LikelihoodKind::upper_bound;
  const std::int64_t times = std::min(strata, diffusion_.schedule.steps() - 1) + 1;
  likelihood.method =
      fmt::format("variational bound, {} of {} times", times, diffusion_.schedule.steps());
  double prior = 0, steps = 0, decoder = 0;
  std::vector<double> by_part;
  for (std::int64_t begin = 0; begin < count; begin += together) {
    const std::int64_t end = std::min(begin + together, count);
    const DiffusionBound bound = diffusion_.bound(predict(unlabelled(end - begin, random)),
                                                  kernels::contiguous(samples.slice(0, begin, end)),
                                                  options_.variance, strata, random);
    for (const double nats : bound.nats())
      likelihood.log_likelihood.push_back(-nats);
    const auto mean_of_all = [count](const std::vector<double>& part) {
      return std::accumulate(part.begin(), part.end(), 0.0) / static_cast<double>(count);
    };
    prior += mean_of_all(bound.prior);
    steps += mean_of_all(bound.steps);
    decoder += mean_of_all(bound.decoder);
    by_part.resize(bound.by_part.size());
    for (std::size_t part = 0; part < by_part.size(); ++part)
      by_part[part] +=
          bound.by_part[part] * static_cast<double>(end - begin) / static_cast<double>(count);
    if (done)
      done(end);
  }
  const double bits = std::numbers::ln2 * static_cast<double>(diffusion_.space.shape().numel());
  likelihood.terms = {{"prior_nats", prior},
                      {"steps_nats", steps},
                      {"decoder_nats", decoder},
                      {"rate_bits_per_dim", (prior + steps) / bits},
                      {"distortion_bits_per_dim", decoder / bits},
                      {"nats_by_time", by_part}};
  return likelihood;
}

namespace {

constexpr std::int64_t drawn_together = 256;

}  // namespace

Tensor Ddpm::sample(std::int64_t count, Random& random) {
  Tensor labels;
  if (classes() > 0)
    labels = kernels::integers({count}, classes(), random.draw("sample/label"));
  return draw(count, labels, 1, random);
}

Tensor Ddpm::sample_given(const Tensor& labels, double guidance, Random& random) {
  return draw(labels.size(0), labels, guidance, random);
}

Tensor Ddpm::draw(std::int64_t count, const Tensor& labels, double guidance, Random& random) const {
  Tensors parts;
  for (std::int64_t begin = 0; begin < count; begin += drawn_together) {
    const std::int64_t end = std::min(count, begin + drawn_together);
    const Shape shape = diffusion_.space.shape().inserted(0, end - begin);
    const Variable noise = kernels::normal(shape, random.draw("sample/start"));
    const Guidance given = labels.defined()
                               ? Guidance(options_.condition, labels.slice(0, begin, end), guidance)
                               : Guidance();
    parts.push_back(diffusion_.sample(predict(given), noise, options_.sampling, random));
  }
  return parts.size() == 1 ? parts[0] : kernels::concatenate(parts, 0);
}

Tensor Ddpm::interpolate(std::int64_t rows, std::int64_t columns, Random& random) {
  const Shape& sample = diffusion_.space.shape();
  const Tensor paths = latent_paths(rows, columns, sample.numel(), random.draw("sample/path"));
  Sampling how = options_.sampling;
  how.sampler = Sampler::ddim;
  how.eta = 0;
  return diffusion_.sample(predict(unlabelled(rows * columns, random)),
                           paths.reshape(sample.inserted(0, rows * columns)), how, random);
}

// ---------------------------------------------------------------------------------------- presets

namespace {

constexpr std::size_t most_levels = 8;
constexpr std::int64_t most_multiplier = 64;

std::vector<std::int64_t> multipliers_of(const std::string& text) {
  std::vector<std::int64_t> numbers;
  for (const char *at = text.data(), *const end = at + text.size(); at < end; ++at) {
    std::int64_t number = 0;
    const auto [stopped, error] = std::from_chars(at, end, number);
    require<UsageError>(error == std::errc{} && (stopped == end || *stopped == ',') &&
                            number >= 1 && number <= most_multiplier &&
                            numbers.size() < most_levels,
                        "--multipliers: {} is no list of 1 to {} whole numbers from 1 to {}, such "
                        "as 1,2,2.",
                        in_quotes(text), most_levels, most_multiplier);
    numbers.push_back(number);
    at = stopped;
  }
  return numbers;
}

ReverseVariance variance_of(const std::string& name) {
  return name == "fixed-small" ? ReverseVariance::fixed_small
         : name == "published" ? ReverseVariance::published
                               : ReverseVariance::fixed_large;
}

Setting after_training(Setting setting) {
  setting.decides_bits = false;
  return setting;
}

std::unique_ptr<Model> make_ddpm(const Settings& settings, const DataInfo& data) {
  const std::int64_t steps = settings.integer("diffusion-steps");
  Ddpm::Options options;
  options.width = options.unet.width = settings.integer("width");
  options.layers = settings.integer("layers");
  options.unet.multipliers = multipliers_of(settings.text("multipliers"));
  options.unet.blocks = settings.integer("blocks");
  options.unet.attention = settings.integer("attention");
  options.unet.groups = settings.integer("groups");
  options.unet.dropout = settings.number("dropout");
  options.condition = condition_of(settings, data);
  options.unet.labels = options.condition.rows();
  require<UsageError>(options.condition.classes == 0 || data.image.rank() == 3,
                      "--condition label: the network for points takes no labels.");
  if (settings.text("last-layers") == "glorot")
    options.unet.last = glorot_uniform();
  options.objective =
      settings.text("objective") == "bound" ? Ddpm::Objective::bound : Ddpm::Objective::simple;
  options.variance = options.sampling.variance = variance_of(settings.text("variance"));
  const std::string& sampler = settings.text("sampler");
  options.sampling.sampler = sampler == "ddim"         ? Sampler::ddim
                             : sampler == "dpm-solver" ? Sampler::dpm_solver
                                                       : Sampler::ancestral;
  options.sampling.steps = std::min(settings.integer("sampling-steps"), steps);
  options.sampling.eta = settings.number("eta");
  options.optimiser.clip.norm = static_cast<float>(settings.number("clip"));
  if (settings.number("average") > 0)
    options.optimiser.average_decay = static_cast<float>(settings.number("average"));
  const NoiseSchedule schedule = settings.text("noise-schedule") == "cosine"
                                     ? NoiseSchedule::cosine(steps)
                                     : NoiseSchedule::linear(steps);
  return std::make_unique<Ddpm>(Diffusion(data.image, data.levels, schedule), options);
}

}  // namespace

ModelDescription ddpm_description() {
  ModelDescription d;
  d.name = "ddpm";
  d.title = "Ho, Jain & Abbeel (2020), Denoising Diffusion Probabilistic Models";
  d.summary = "a network that takes noise away, step by step; a bound on the likelihood";
  d.settings = {
      {"width",
       "channels of the first level; units of a hidden layer, of points",
       16,
       32,
       128,
       {},
       {4, of_width.highest}},
      {"multipliers", "of the width, by level; each level after the first halves the image", "1,2",
       "1,2,2", "1,2,2,2"},
      {"blocks",
       "residual blocks a level on the way down; one more on the way up",
       1,
       1,
       2,
       {},
       of_layers},
      {"attention",
       "level, from 0, whose maps attend to themselves; the middle always does",
       2,
       2,
       1,
       {},
       {0, 1000}},
      {"groups", "of a group normalisation", 8, 8, 32, {}, of_width},
      {"dropout", "of a residual block's features", 0.0, 0.0, 0.1, {}, {0, 0.99}},
      fixed_setting("last-layers",
                    "initial weights of each block's last layer: it begins as if it were not there",
                    "zeros", {"zeros", "glorot"}),
      fixed_setting("layers", "hidden layers, of points", std::int64_t{3}, of_layers),
      {"diffusion-steps", "T", 1000, 1000, 1000, {}, {1, 1e5}},
      fixed_setting("noise-schedule", "of β: linear (Ho et al.) or cosine (Nichol & Dhariwal)",
                    "linear", {"linear", "cosine"}),
      fixed_setting("objective",
                    "the mean squared error of the noise, or the bound's weights of it", "simple",
                    {"simple", "bound"}),
      fixed_setting(
          "variance",
          "of a step back: β_t, the posterior's, or as the authors' code at the last step",
          "fixed-large", {"fixed-large", "fixed-small", "published"}),
      after_training({"sampler",
                      "ancestral, ddim, or dpm-solver (of second order)",
                      "ddim",
                      "ddim",
                      "ancestral",
                      {"ancestral", "ddim", "dpm-solver"}}),
      after_training({"sampling-steps", "of the sampler, at most T", 20, 50, 1000, {}, {1, 1e5}}),
      after_training(
          fixed_setting("eta", "noise of ddim: 0 none, 1 the posterior's", 0.0, Range{0, 1})),
      {"average",
       "decay of the averaged weights that evaluate and draw; 0: none are kept",
       0.995,
       0.999,
       0.9999,
       {},
       {0, 0.999999}},
      fixed_setting("clip", "of the gradient's norm; 0: none", 1.0, Range{0, 1e9}),
      steps_setting(200, 3000, 800000),
      batch_setting(32, 32, 128),
      rate_setting(1e-3, 1e-3, 2e-4),
      schedule_setting("cosine", "cosine", "constant"),
      warm_up_setting(20, 100, 5000),
  };
  const std::vector<Setting> condition = condition_settings();
  d.settings.insert(d.settings.end(), condition.begin(), condition.end());
  d.for_data = [](Settings& settings, Preset preset, const std::string& data) {
    keep_grey(settings, data);
    if (preset != Preset::paper && !is_of_points(data))
      settings.set("eval-count", std::int64_t{200});
    if (preset == Preset::paper && data.starts_with("cifar"))
      settings.set("augment", std::string("mirror"));
    if (is_of_points(data)) {
      const bool quick = preset == Preset::quick;
      settings.set("width", std::int64_t{128});
      settings.set("batch", std::int64_t{512});
      settings.set("steps", std::int64_t{quick ? 3000 : preset == Preset::small ? 40000 : 200000});
    }
  };
  d.data = images_then_points();
  d.data.insert(d.data.begin() + 1, "bars");
  d.evaluation_samples = 10;
  d.faithfulness = {
      {"network", "U-Net, 35.7 M parameters (CIFAR-10)", "the same, 35,746,307 parameters",
       "`paper`: the same; `small` 1.1 M, `quick` 0.1 M", "what two cores train in their time"},
      {"attention", "at 16x16 and in the middle", "the same",
       "by level: `paper` the same, else in the middle", "small maps alone are cheap"},
      {"down and up", "stride 2; nearest pixel, then a convolution", "the same, padded on one side",
       "the same, padded on both", "as PyTorch's ports: nothing depends on the side"},
      {"28x28", "not used", "padded to 32x32",
       "zeros around the image make 32x32 inside the network",
       "the published levels halve it three times; data and bound stay those of 28x28"},
      {"initial weights", "not said", "Glorot's uniform; last layers all but 0",
       "the same; last layers 0 (--last-layers)", "blocks begin as if they were not there"},
      {"noise", "T = 1000, β linear from 10⁻⁴ to 0.02", "the same",
       "the same; --noise-schedule cosine", "as published"},
      {"objective", "L_simple", "L_simple", "L_simple; --objective bound", "as published"},
      {"variance of a step back", "β_t or β̃_t", "β_t, but β̃_2 at the last step", "β_t (--variance)",
       "on normal data the bound is the entropy then"},
      {"optimiser", "Adam 2e-4", "the same; warm-up of 5000 steps, gradients clipped to 1",
       "`paper`: the same; else 1e-3, decayed to 0", "fewer steps"},
      {"average of the weights", "0.9999", "0.9999",
       "`paper`: 0.9999; else 0.999, 0.995; after n updates at most (1 + n) / (10 + n)",
       "fewer steps"},
      {"augmentation", "random horizontal flips (CIFAR-10)", "the same",
       "`paper`: the same (--augment mirror)", "as published"},
      {"dropout", "0.1 on CIFAR-10", "0.1", "`paper`: 0.1; else 0", "too few steps to overfit"},
      {"bound", "discretised decoder, all T terms", "the same",
       "the same decoder; evaluation looks at ten times of each image (--importance-samples)",
       "unbiased, and a hundred times as fast"},
      {"sampler", "ancestral, 1000 steps", "the same",
       "`paper`: the same; else DDIM, 20 or 50 steps (--sampler, --sampling-steps)", "time"},
  };
  d.make = make_ddpm;
  return d;
}

}  // namespace likely
