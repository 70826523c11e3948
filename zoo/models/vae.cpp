#include "zoo/models/vae.h"

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "zoo/run/latents.h"

namespace likely {

// ------------------------------------------------------------------------------------- the bounds

Elbo elbo(const LatentVariableModel& model, const Variable& x, const Variable& noise) {
  const Normal q = model.encode(x);
  const Variable z = unsqueeze(q.sample(noise), 1);
  const Variable log_prob = model.log_prob_given(unsqueeze(x, 1), z);
  return {-squeeze(log_prob, 1), q.kl_to_standard()};
}

Weighted importance_weights(const LatentVariableModel& model, const Normal& q, const Variable& x,
                            const Variable& noise) {
  const Normal each(unsqueeze(q.mean(), 1), unsqueeze(q.log_variance(), 1));
  const Variable z = each.sample(noise);
  const Variable log_prob = model.log_prob_given(unsqueeze(x, 1), z);
  // log p(z) - log q(z | x): the constants cancel, and (z - mean)² / variance is noise².
  const Variable ratio = sum(each.log_variance() + square(noise) - square(z), {-1}) * 0.5;
  return {log_prob + ratio, log_prob};
}

Variable importance_bound(const Variable& log_weight) {
  return log_sum_exp(log_weight, -1) - std::log(static_cast<double>(log_weight.size(-1)));
}

// ------------------------------------------------------------------------------------ the network

Vae::Layers::Layers(std::int64_t pixels, const Options& o)
    : mean(o.hidden, o.latents, Activation::none, o.initialise),
      log_variance(o.hidden, o.latents, Activation::none, o.initialise),
      out(o.hidden, pixels, Activation::none, o.initialise) {
  const auto stack = [&](const char* name, std::int64_t from) {
    std::vector<std::unique_ptr<Linear>> layers;
    for (std::int64_t i = 0; i < o.layers; ++i) {
      layers.push_back(
          std::make_unique<Linear>(i ? o.hidden : from, o.hidden, o.activation, o.initialise));
      add(fmt::format("{}.{}", name, i), *layers.back());
    }
    return layers;
  };
  encoder = stack("encoder", pixels);
  add("mean", mean);
  add("log_variance", log_variance);
  decoder = stack("decoder", o.latents);
  add("out", out);
}

Vae::Vae(const Shape& image, const Options& options)
    : image_(image), options_(options), network_(image.numel(), options) {}

Normal Vae::encode(const Variable& x) const {
  Variable h = x;
  for (const auto& layer : network_.encoder)
    h = (*layer)(h);
  return {network_.mean(h), network_.log_variance(h)};
}

Variable Vae::logits(const Variable& z) const {
  Variable h = z;
  for (const auto& layer : network_.decoder)
    h = (*layer)(h);
  return network_.out(h);
}

Variable Vae::log_prob_given(const Variable& x, const Variable& z) const {
  return sum(Bernoulli(logits(z)).log_prob(x), {-1});
}

std::vector<Network> Vae::networks() { return {{"vae", network_, options_.optimiser}}; }

// ----------------------------------------------------------------------------------- the objective

Variable Vae::objective(const Variable& x, const Variable& noise) const {
  if (noise.rank() == 3)
    return -mean(importance_bound(importance_weights(*this, encode(x), x, noise).log_weight));
  const Elbo terms = elbo(*this, x, noise);
  return (sum(terms.reconstruction) + sum(terms.kl)) / static_cast<double>(x.size(0));
}

Variable Vae::loss(std::size_t, const Batch& batch, Random& random) {
  const Variable x = kernels::contiguous(batch.images).reshape({-1, image_.numel()});
  Shape shape{x.size(0), options_.latents};
  if (options_.importance_samples > 0)
    shape = shape.inserted(1, options_.importance_samples);
  return objective(x, kernels::normal(shape, random.draw("train/noise"), x.dtype()));
}

// ----------------------------------------------------------------------------------- the
// evaluation

namespace {

// 1, …, k, each dividing the next: groups of one set of draws merge into larger ones, and by
// Jensen's inequality the bound can only rise from one rung to the next, on any draws.
std::vector<std::int64_t> divisor_chain(std::int64_t k) {
  std::vector<std::int64_t> chain{k};
  while (chain.back() > 1) {
    std::int64_t factor = 2;
    while (chain.back() % factor != 0)
      ++factor;
    chain.push_back(chain.back() / factor);
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

// The mean over disjoint groups of `size` draws of the group's bound, in f64.
double grouped_bound(const double* log_weight, std::int64_t draws, std::int64_t size) {
  double total = 0;
  for (std::int64_t begin = 0; begin < draws; begin += size) {
    const double top = *std::max_element(log_weight + begin, log_weight + begin + size);
    double sum = 0;
    for (std::int64_t i = begin; i < begin + size; ++i)
      sum += std::exp(log_weight[i] - top);
    total += top + std::log(sum / static_cast<double>(size));
  }
  return total * static_cast<double>(size) / static_cast<double>(draws);
}

struct Moments {
  double sum = 0, squares = 0;
  std::int64_t count = 0;
  void add(double x) { sum += x, squares += x * x, ++count; }
  double mean() const { return sum / static_cast<double>(count); }
  double variance() const {
    return std::max(0.0, squares / static_cast<double>(count) - mean() * mean());
  }
  std::optional<double> standard_error() const {
    if (count < 2)
      return std::nullopt;
    return std::sqrt(variance() / static_cast<double>(count));
  }
};

// What one pass over the images gathers.
struct Gathered {
  explicit Gathered(std::int64_t draws, std::int64_t latents)
      : chain(divisor_chain(draws)),
        rungs(chain.size()),
        kl(static_cast<std::size_t>(latents)),
        posterior_mean(kl) {}

  void weights(const std::vector<double>& log_weight, std::int64_t draws) {
    for (std::size_t row = 0; row < log_weight.size(); row += static_cast<std::size_t>(draws)) {
      for (std::size_t r = 0; r < chain.size(); ++r)
        rungs[r].add(grouped_bound(&log_weight[row], draws, chain[r]));
      result.push_back(grouped_bound(&log_weight[row], draws, draws));
    }
  }
  void latents(const Normal& q) {
    const std::vector<double> kls = kernels::to_doubles(q.kl_to_standard().value());
    const std::vector<double> means = kernels::to_doubles(q.mean().value());
    for (std::size_t i = 0; i < kls.size(); ++i) {
      kl[i % kl.size()].add(kls[i]);
      posterior_mean[i % kl.size()].add(means[i]);
    }
  }

  std::vector<std::int64_t> chain;
  std::vector<Moments> rungs, kl, posterior_mean;
  Moments reconstruction;
  std::vector<double> result;
};

}  // namespace

Likelihood Vae::likelihood(const Tensor& images, std::int64_t draws, Random& random,
                           const std::function<void(std::int64_t)>& done) {
  const NotRecording off;
  const std::int64_t count = images.size(0), pixels = image_.numel();
  const Tensor all = kernels::contiguous(images).reshape({count, pixels});
  constexpr std::int64_t encoded_together = 512, decoded_rows = 2048;
  const std::int64_t chunk = std::max<std::int64_t>(1, decoded_rows / draws);
  Gathered gathered(draws, options_.latents);
  for (std::int64_t block = 0; block < count; block += encoded_together) {
    const std::int64_t block_end = std::min(block + encoded_together, count);
    const Normal q = encode(all.slice(0, block, block_end));
    gathered.latents(q);
    for (std::int64_t begin = block; begin < block_end; begin += chunk) {
      const std::int64_t end = std::min(begin + chunk, block_end);
      const Normal part(slice(q.mean(), 0, begin - block, end - block),
                        slice(q.log_variance(), 0, begin - block, end - block));
      const Variable noise = kernels::normal({end - begin, draws, options_.latents},
                                             random.draw("evaluate/noise"), images.dtype());
      const Weighted weighted = importance_weights(*this, part, all.slice(0, begin, end), noise);
      gathered.weights(kernels::to_doubles(weighted.log_weight.value()), draws);
      for (const double log_prob : kernels::to_doubles(weighted.log_prob_given.value()))
        gathered.reconstruction.add(-log_prob);
    }
    if (done)
      done(block_end);
  }

  Likelihood likelihood;
  likelihood.kind = LikelihoodKind::upper_bound;
  likelihood.method = draws == 1 ? "ELBO, one draw" : fmt::format("IWAE-{}", draws);
  likelihood.log_likelihood = std::move(gathered.result);
  std::vector<double> kl_per_latent;
  double active = 0;
  for (std::size_t j = 0; j < gathered.kl.size(); ++j) {
    kl_per_latent.push_back(gathered.kl[j].mean());
    active += gathered.posterior_mean[j].variance() > 0.01;  // Burda et al., section 5.2
  }
  likelihood.terms = {{"reconstruction_nats", gathered.reconstruction.mean()},
                      {"kl_nats_per_latent", kl_per_latent},
                      {"active_units", active}};
  for (std::size_t r = 0; r < gathered.chain.size(); ++r)
    likelihood.sweep.push_back(
        {gathered.chain[r], -gathered.rungs[r].mean(), gathered.rungs[r].standard_error()});
  return likelihood;
}

Tensor Vae::sample(std::int64_t count, Random& random) {
  const NotRecording off;
  const Variable z = kernels::normal({count, options_.latents}, random.draw("sample/latent"));
  return sigmoid(logits(z)).value().reshape(image_.inserted(0, count));
}

Tensor Vae::interpolate(std::int64_t rows, std::int64_t columns, Random& random) {
  const NotRecording off;
  const Variable z = latent_paths(rows, columns, options_.latents, random.draw("sample/path"));
  return sigmoid(logits(z)).value().reshape(image_.inserted(0, rows * columns));
}

Tensor Vae::reconstruct(const Tensor& images, Random&) {
  const NotRecording off;
  const Normal q = encode(kernels::contiguous(images).reshape({-1, image_.numel()}));
  return sigmoid(logits(q.mean())).value().reshape(images.shape());
}

// ---------------------------------------------------------------------------------------- presets

namespace {

std::unique_ptr<Model> make_vae(const Settings& settings, const DataInfo& data) {
  require<UsageError>(data.levels == 2,
                      "vae: its Bernoulli decoder gives black and white images their probability, "
                      "and {} has {} levels. Choose another --binarisation.",
                      data.name, data.levels);
  Vae::Options options;
  options.hidden = settings.integer("hidden");
  options.latents = settings.integer("latents");
  options.layers = settings.integer("layers");
  options.activation = settings.text("activation") == "relu" ? Activation::relu : Activation::tanh;
  if (settings.text("init") == "normal")
    options.initialise = normal(0.01);
  if (settings.text("objective") == "iwae")
    options.importance_samples = settings.integer("importance-samples");
  return std::make_unique<Vae>(data.image, options);
}

}  // namespace

ModelDescription vae_description() {
  ModelDescription d;
  d.name = "vae";
  d.title = "Kingma & Welling (2013), Auto-Encoding Variational Bayes";
  d.summary = "a variational autoencoder of two MLPs with a Bernoulli decoder";
  d.settings = {
      {"hidden", "units in each hidden layer", 400, 500, 500, {}, of_width},
      {"layers", "hidden layers on each side", 2, 2, 1, {}, of_layers},
      {"latents", "dimensions of z", 20, 50, 20, {}, of_width},
      {"activation", "of the hidden layers", "relu", "relu", "tanh", {"tanh", "relu"}},
      {"init",
       "of the weights: Glorot's uniform, or N(0, 0.01²)",
       "glorot",
       "glorot",
       "normal",
       {"glorot", "normal"}},
      {"objective",
       "what is maximised: the ELBO, or the importance-weighted bound L_k",
       "elbo",
       "elbo",
       "elbo",
       {"elbo", "iwae"}},
      {"importance-samples", "k of the objective iwae", 5, 5, 5, {}, {1, 1e6}},
      steps_setting(4000, 75000, 500000),
      batch_setting(128, 128, 100),
      rate_setting(2e-3, 1e-3, 1e-3),
      schedule_setting("cosine", "cosine", "constant"),
  };
  d.data = {"shapes", "bars",          "ising-0.2",      "ising-0.4",
            "mnist",  "fashion-mnist", "binarized-mnist"};
  d.evaluation_samples = 500;
  d.faithfulness = {
      {"network", "784-500-20-500-784, tanh (MNIST)", "784-400-20-400-784, ReLU",
       "`paper`: as published; others: two hidden layers, ReLU",
       "they come nearer to what an MLP VAE can reach in their time"},
      {"initial weights", "N(0, 0.01)", "framework default",
       "`paper`: N(0, 0.01²); else Glorot's uniform", "deeper networks start faster"},
      {"optimiser", "Adagrad, step from {0.01, 0.02, 0.1}", "Adam 1e-3", "Adam 1e-3",
       "one rate serves all presets"},
      {"batch", "100", "128", "`paper`: 100; else 128", "128 fills vector registers"},
      {"regularisation", "weight decay from the prior N(0, I) on weights", "none", "none",
       "negligible for 50,000 images"},
      {"data", "MNIST, grey levels as probabilities", "grey levels as targets",
       "binary images, freshly sampled", "only then is the bound one on a likelihood"},
      {"bound", "ELBO, one draw; marginal likelihood by HMC for 3 latents", "ELBO",
       "ELBO in training, IWAE-k in evaluation", "IWAE-k is tighter and works for any latents"},
  };
  d.make = make_vae;
  return d;
}

}  // namespace likely
