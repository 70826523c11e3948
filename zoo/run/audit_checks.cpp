#include "zoo/run/audit_checks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "kernels/copy.h"
#include "kernels/random.h"
#include "tensor/nearest.h"
#include "zoo/run/audited_copy.h"
#include "zoo/run/evaluate.h"
#include "zoo/run/image_coder.h"
#include "zoo/run/signals.h"
#include "zoo/run/trainer.h"

namespace likely {

AuditCheck judged(const std::string& name, bool holds, double value, double bar,
                  const std::string& words) {
  return {name, holds ? AuditCheck::Result::holds : AuditCheck::Result::fails, value, bar, words};
}

namespace {

// The larger one; NaN where one of them is.
double larger(double a, double b) { return a >= b || std::isnan(a) ? a : b; }

// The slopes of outputs in all elements of one image. Its elements are any numbers, and so are the
// weights of an output's values: so that no slope is 0 by chance.
class Slopes {
 public:
  Slopes(const AuditedCopy& model, const Shape& image, Random& random)
      : x_(Variable::leaf(
            kernels::uniform(image.inserted(0, 1), random.draw("audit/image"), DType::f64))),
        outputs_(model.autoregressive().log_probabilities(x_, model.labels(0, 1))),
        weights_(kernels::uniform({outputs_.size(-1)}, random.draw("audit/weights"), DType::f64)) {}
  std::vector<double> operator()(std::int64_t output) const {
    const Variable y = sum(slice(outputs_, 1, output, output + 1) * weights_);
    return kernels::to_doubles(gradients(y, {x_}, {}, Recorded::no)[0].value());
  }

 private:
  Variable x_, outputs_, weights_;
};

// ------------------------------------------------------------------------------ sums over a space

constexpr const char* no_levels = "the data are points, which nobody can go through";

// log p of each image's last `free` elements, given those before and its label.
std::vector<double> conditional(const Autoregressive& model, const Tensor& images,
                                const Tensor& labels, std::int64_t free, int levels) {
  constexpr std::int64_t together = 256;
  const NotRecording off;
  const std::int64_t count = images.size(0), elements = images.numel() / count;
  std::vector<double> result;
  for (std::int64_t begin = 0; begin < count; begin += together) {
    const std::int64_t end = std::min(begin + together, count);
    const Tensor x = images.slice(0, begin, end);
    const Variable given =
        model.log_probabilities(x, labels.defined() ? labels.slice(0, begin, end) : Tensor());
    const std::vector<double> of_all = kernels::to_doubles(given.value());
    const std::vector<double> values = kernels::to_doubles(x);
    for (std::int64_t n = 0; n < end - begin; ++n) {
      double log_p = 0;
      for (std::int64_t i = (n + 1) * elements - free; i < (n + 1) * elements; ++i)
        log_p += of_all[static_cast<std::size_t>(
            i * levels + std::lround(values[static_cast<std::size_t>(i)] * (levels - 1)))];
      result.push_back(log_p);
    }
  }
  return result;
}

// The same without a label, each being as likely as another.
std::vector<double> conditional(const AuditedCopy& copy, const Tensor& images, std::int64_t free,
                                int levels) {
  const std::int64_t classes = std::max<std::int64_t>(1, copy.model().classes());
  std::vector<double> p(static_cast<std::size_t>(images.size(0)));
  for (std::int64_t label = 0; label < classes; ++label) {
    const std::vector<double> log_p = conditional(copy.autoregressive(), images,
                                                  copy.labels(label, images.size(0)), free, levels);
    for (std::size_t n = 0; n < p.size(); ++n)
      p[n] += std::exp(log_p[n]) / static_cast<double>(classes);
  }
  for (double& value : p)
    value = std::log(value);
  return p;
}

}  // namespace

Likelihood likelihood_of(Model& model, const Tensor& images, std::int64_t draws,
                         std::uint64_t seed) {
  Random random = random_for(Occasion::evaluation, seed, images.device());
  return model.likelihood(images, draws, random, [](std::int64_t) { stop_where_asked(); });
}

std::string why_no_exact_sum(const AuditSubject& subject) {
  if (!subject.is_exact())
    return "the likelihood is a bound";
  return subject.data.levels == 0 ? no_levels : "";
}

void exact_sum(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks) {
  const SmallImages space(subject.images.size(-1), subject.data.levels);
  const AuditedCopy copy(subject, space.image(), DType::f64);
  const Tensor images = space.all(DType::f64);
  const std::vector<double> claimed =
      likelihood_of(copy.model(), images, 1, subject.configuration.seed()).log_likelihood;
  std::vector<double> last = claimed;  // log p of the elements that vary, given those before
  double difference = 0;
  if (subject.autoregressive) {
    const int levels = subject.data.levels;
    const std::vector<double> product = conditional(copy, images, space.image().numel(), levels);
    for (std::size_t n = 0; n < product.size(); ++n)
      difference = larger(difference,
                          std::abs(product[n] - claimed[n]) / std::max(1.0, std::abs(product[n])));
    if (!space.whole())
      last = conditional(copy, images, space.free(), levels);
  }
  double sum = 0;
  for (const double log_p : last)
    sum += std::exp(log_p);
  checks.push_back(
      judged(names[0], std::abs(sum - 1) < 1e-12, std::abs(sum - 1), 1e-12,
             fmt::format("|Σ p - 1| over {}, f64, {}", space.to_string(), copy.weights())));
  if (subject.autoregressive)
    checks.push_back(judged(names[1], difference < 1e-12, difference, 1e-12,
                            "log p of these images beside that of their elements, relative"));
}

// exp(bound) estimates p(x) without bias, or lies below: so its mean adds up to 1 at most.
void sum_of_bound(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks) {
  constexpr std::int64_t draws = 4;
  constexpr int repeats = 64;
  const SmallImages space(subject.images.size(-1), subject.data.levels);
  const AuditedCopy copy(subject, space.image(), DType::f32);
  const Tensor images = space.all(DType::f32);
  double mean = 0, squares = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    double sum = 0;
    for (const double bound :
         likelihood_of(copy.model(), images, draws,
                       subject.configuration.seed() + static_cast<std::uint64_t>(repeat))
             .log_likelihood)
      sum += std::exp(bound);
    mean += sum / repeats;
    squares += sum * sum / repeats;
  }
  const double error = std::sqrt(std::max(0.0, squares - mean * mean) / (repeats - 1));
  checks.push_back(
      judged(names[0], mean - 1 <= 4 * error, mean - 1, 4 * error,
             fmt::format("Σ exp(bound) - 1 over {}, {} times, bar: 4 standard errors, {}",
                         space.to_string(), repeats, copy.weights())));
}

std::string why_no_sum_of_bound(const AuditSubject& subject) {
  if (subject.is_exact())
    return "the likelihood is exact";
  if (why_no_terms(subject).empty())
    return "a network that halves images has no small ones; the terms of its bound stand below";
  if (subject.data.levels == 0)
    return no_levels;
  if (!SmallImages(subject.images.size(-1), subject.data.levels).whole())
    return fmt::format("there are too many images of {} levels", subject.data.levels);
  return "";
}

// -------------------------------------------------------------------------- what depends on what

std::string why_not_autoregressive(const AuditSubject& subject) {
  return subject.autoregressive ? "" : "the model is not autoregressive";
}

// In images that are just as large as what the pixel in the middle of the last row may see.
void dependences(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks) {
  const std::int64_t reach = subject.autoregressive->reach(), channels = subject.images.size(-1);
  const Shape image{reach + 1, 2 * reach + 1, channels};
  const std::int64_t elements = image.numel();
  const std::int64_t middle = (reach * image[1] + reach) * channels;  // its first element
  const AuditedCopy copy(subject, image, DType::f64);
  Random random = random_for(Occasion::evaluation, subject.configuration.seed(), Device::cpu);
  const Slopes slopes(copy, image, random);
  std::int64_t leaks = 0;
  for (std::int64_t i = 0; i < elements; ++i) {
    const std::vector<double> of_output = slopes(i);
    leaks += std::count_if(of_output.begin() + i, of_output.end(), [](double s) { return s != 0; });
  }
  checks.push_back(judged(
      names[0], leaks == 0, static_cast<double>(leaks), 0,
      fmt::format("slopes of an output in itself or later elements that are not 0, of {}, f64, {}",
                  elements * (elements + 1) / 2, copy.weights())));
  // A slope may be 0 where units are dead in one image, so others are asked before it counts.
  std::vector<double> seen = slopes(middle);
  const auto blind = [&] { return std::count(seen.begin(), seen.begin() + middle, 0.0); };
  for (int more = 0; more < 20 && blind() > 0; ++more) {
    const std::vector<double> again = Slopes(copy, image, random)(middle);
    for (std::size_t j = 0; j < seen.size(); ++j)
      seen[j] = std::abs(seen[j]) + std::abs(again[j]);
  }
  const bool expected = subject.autoregressive->has_blind_spot();
  AuditCheck spot = judged(
      names[1], (blind() > 0) == expected, static_cast<double>(blind()), 0,
      fmt::format("blind: {} of {} earlier elements in the receptive field; the model {}", blind(),
                  middle, expected ? "is known for its blind spot" : "claims to see all"));
  if (expected)
    spot.bar.reset();
  checks.push_back(spot);
}

// ------------------------------------------------------------------------------- the coded images

void coding(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks) {
  const Tensor& images = subject.images;
  const std::int64_t all = images.numel();
  const auto done = [&](std::int64_t before) {
    return [&, before](std::int64_t n) { subject.options.done(before + n, 2 * all); };
  };
  const int levels = subject.data.levels;
  const Tensor& labels = subject.labels;
  const std::vector<double> log_likelihood =
      labels.defined()
          ? conditional(*subject.autoregressive, images, labels, all / images.size(0), levels)
          : likelihood_of(subject.model, images, 1, subject.configuration.seed()).log_likelihood;
  const double information =
      -std::accumulate(log_likelihood.begin(), log_likelihood.end(), 0.0) / std::numbers::ln2;
  const std::vector<std::uint8_t> bytes =
      compress(*subject.autoregressive, images, labels, levels, done(0));
  const double bits = 8 * static_cast<double>(bytes.size());
  const double more = std::abs(bits - information) / information;
  const double bar = 1e-3 + 8 / information;  // and the byte that ends a stream
  checks.push_back(judged(
      names[0], more < bar, more, bar,
      fmt::format("{} images in {} bytes: {:.0f} bits of a stream beside {:.1f} of Σ -log2 p{}",
                  images.size(0), bytes.size(), bits, information,
                  labels.defined() ? "(x | label)" : "(x)")));
  double different = static_cast<double>(images.size(0));
  std::string error;
  try {
    const std::vector<double> decoded =
        kernels::to_doubles(decompress(*subject.autoregressive, bytes, images.shape(), labels,
                                       levels, images.device(), done(all)));
    const std::vector<double> original = kernels::to_doubles(images);
    const std::ptrdiff_t elements = all / images.size(0);
    different = 0;
    for (auto a = original.begin(), b = decoded.begin(); a != original.end();
         a += elements, b += elements)
      different += !std::equal(a, a + elements, b);
  } catch (const DataError& refused) {
    error = fmt::format(": {}", refused.what());
  }
  checks.push_back(judged(names[1], different == 0, different, 0,
                          "images that differ from those that were encoded" + error));
}

// ------------------------------------------------------------------------------------- the bounds

std::string why_no_importance_bound(const AuditSubject& subject) {
  if (subject.is_exact())
    return "the likelihood is exact";
  return subject.first.sweep.empty() ? "the bound has no importance samples" : "";
}

// By Jensen's inequality, on any draws; so the bar is rounding.
void importance_bounds(const AuditSubject& subject, const AuditNames& names, AuditChecks& checks) {
  constexpr std::int64_t draws = 64;
  const Likelihood found =
      likelihood_of(subject.model, subject.images, draws, subject.configuration.seed());
  const double elbo = -found.sweep.front().negative_log_likelihood_nats;
  const double bound = -summarise(found.log_likelihood, {}).nats;
  const double rounding = 1e-9 * std::abs(elbo);
  checks.push_back(judged(names[0], elbo - bound <= rounding, elbo - bound, rounding,
                          fmt::format("ELBO {:.4f} - IWAE-{} {:.4f} nats, on the same {} images "
                                      "and draws",
                                      elbo, draws, bound, subject.images.size(0))));
  double fall = -std::numeric_limits<double>::infinity();
  std::vector<std::string> rungs;
  for (std::size_t r = 0; r < found.sweep.size(); ++r) {
    const double nats = found.sweep[r].negative_log_likelihood_nats;
    if (r > 0)
      fall = larger(fall, nats - found.sweep[r - 1].negative_log_likelihood_nats);
    rungs.push_back(fmt::format("{}: {:.4f}", found.sweep[r].importance_samples, -nats));
  }
  checks.push_back(judged(names[1], fall <= rounding, fall, rounding,
                          "the largest fall from one k to the next; " + joined(rungs, ", ")));
}

std::string why_no_known_log_p(const AuditSubject& subject) {
  const std::string why = why_no_importance_bound(subject);
  return why.empty() ? "log p is known of the linear-Gaussian VAE alone; the test "
                       "zoo/vae_linear holds it there"
                     : why;
}

}  // namespace likely
