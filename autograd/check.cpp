#include "autograd/check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "kernels/copy.h"
#include "tensor/philox.h"

namespace likely {
namespace {

using Doubles = std::vector<double>;

// Independent normals, the same for a seed everywhere.
class Directions {
 public:
  explicit Directions(std::uint64_t seed) : seed_(seed) {}
  Tensor like(const Tensor& x) {
    Doubles values(static_cast<std::size_t>(x.numel()));
    for (double& value : values)
      value = normal();
    return Tensor::of(x.shape(), values, x.device());
  }

 private:
  double normal() {
    const PhiloxBlock b = philox({{static_cast<std::uint32_t>(drawn_++), 7, 7, 7}},
                                 static_cast<std::uint32_t>(seed_), 0);
    return std::sqrt(-2 * std::log(uniform_from(b.word[0]))) *
           std::cos(2 * std::numbers::pi * uniform_from(b.word[1]));
  }
  std::uint64_t seed_, drawn_ = 0;
};

double dot(const Tensor& a, const Tensor& b) {
  const Doubles x = kernels::to_doubles(a), y = kernels::to_doubles(b);
  long double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += static_cast<long double>(x[i]) * y[i];
  return static_cast<double>(sum);
}

double squared(const Tensors& tensors) {
  double sum = 0;
  for (const Tensor& t : tensors)
    sum += dot(t, t);
  return sum;
}

Tensor moved(const Tensor& x, const Tensor& direction, double step) {
  Doubles values = kernels::to_doubles(x);
  const Doubles d = kernels::to_doubles(direction);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] += step * d[i];
  return Tensor::of(x.shape(), values, x.device());
}

Variables leaves_at(const Tensors& values) {
  Variables leaves;
  for (const Tensor& value : values)
    leaves.push_back(Variable::leaf(value));
  return leaves;
}

Tensors moved(const Tensors& x, const Tensors& directions, double step) {
  Tensors result;
  for (std::size_t i = 0; i < x.size(); ++i)
    result.push_back(moved(x[i], directions[i], step));
  return result;
}

// On which side of each kink the run passed.
class Pattern : public Watch {
 public:
  void value(const char*, int, Tensor&) override {}
  void gradient(const char*, int, Tensor&) override {}
  void kink(const Tensor& x) override {
    for (const double v : kernels::to_doubles(x))
      sides.push_back(v > 0);
  }
  std::vector<bool> sides;
};

// A scalar function of tensors and its gradient, to compare.
struct ScalarFunction {
  std::function<double(const Tensors&)> value;
  std::function<Tensors(const Tensors&)> gradient;
  double cotangent;  // its size, for the scale of the error
};

Comparison compare(const ScalarFunction& f, const Tensors& x, double first_step, int directions,
                   Directions& random) {
  Comparison worst;
  const Tensors g = f.gradient(x);
  for (int k = 0; k < directions; ++k) {
    Tensors v;
    for (const Tensor& t : x)
      v.push_back(random.like(t));
    double analytic = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (g[i].defined())
        analytic += dot(g[i], v[i]);
    double numeric = 0, step = first_step;
    for (;; step /= 4) {
      require(step >= 1e-9,
              "check_gradients: an activation lies within 1e-9 of its kink along this direction. "
              "Use another seed.");
      std::vector<bool> sides[2];
      double values[2];
      for (const int side : {0, 1}) {
        Pattern pattern;
        values[side] = f.value(moved(x, v, side ? step : -step));
        sides[side] = pattern.sides;
      }
      numeric = (values[1] - values[0]) / (2 * step);
      if (sides[0] == sides[1])
        break;
    }
    Tensors defined;
    std::copy_if(g.begin(), g.end(), std::back_inserter(defined),
                 [](const Tensor& t) { return t.defined(); });
    const double size = std::sqrt(squared(v)), gradient = std::sqrt(squared(defined));
    const double scale = std::max({gradient, f.cotangent, 1e-300}) * std::max(size, 1e-300);
    const double error =
        std::abs(analytic - numeric) / (std::abs(analytic) + std::abs(numeric) + 1e-3 * scale);
    if (!(error <= worst.error))
      worst.error = error;
    worst.step = std::max(worst.step, step);
    if (std::isnan(error))
      return {error, step};
  }
  return worst;
}

Tensors values_of(const Variables& variables) {
  Tensors values;
  for (const Variable& v : variables)
    values.push_back(v.value());
  return values;
}

}  // namespace

Comparison compare_first(const Subject& subject, int directions, std::uint64_t seed) {
  Directions random(seed);
  const Variable shape_of_output = subject.run(leaves_at(subject.at));
  const Tensor cotangent = random.like(shape_of_output.value());
  const ScalarFunction f{[&](const Tensors& x) {
                           const NotRecording off;
                           return dot(subject.run(leaves_at(x)).value(), cotangent);
                         },
                         [&](const Tensors& x) {
                           const Variables leaves = leaves_at(x);
                           return values_of(gradients(subject.run(leaves), leaves, cotangent));
                         },
                         std::sqrt(squared({cotangent}))};
  return compare(f, subject.at, subject.step, directions, random);
}

// The first-order check of the map (x, c) → Σ ⟨d_i, vjp_i(x, c)⟩: it covers both inputs of every
// vjp.
Comparison compare_second(const Subject& subject, int directions, std::uint64_t seed) {
  Directions random(seed);
  const TwiceDifferentiable twice;
  Tensors point = subject.at, weights;
  for (const Tensor& x : subject.at)
    weights.push_back(random.like(x));
  point.push_back(random.like(subject.run(leaves_at(subject.at)).value()));
  const auto directional = [&](const Variables& inputs, Recorded recorded) {
    const Variables leaves(inputs.begin(), inputs.end() - 1);
    const Variables g = gradients(subject.run(leaves), leaves, inputs.back(), recorded);
    Variable total;
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!g[i].defined())
        continue;
      const Variable term = sum(g[i] * Variable(weights[i]));
      total = total.defined() ? total + term : term;
    }
    return total;
  };
  const ScalarFunction f{[&](const Tensors& x) {
                           const Variable total = directional(leaves_at(x), Recorded::no);
                           return total.defined() ? total.value().item<double>() : 0.0;
                         },
                         [&](const Tensors& x) {
                           const Variables inputs = leaves_at(x);
                           const Variable total = directional(inputs, Recorded::yes);
                           return total.defined() ? values_of(gradients(total, inputs))
                                                  : Tensors(inputs.size());
                         },
                         std::sqrt(squared(weights))};
  return compare(f, point, subject.step, directions, random);
}

namespace {

// The leaves that a case makes, and the case as a function of them.
Subject subject_of(const Case& example, Device device, Variant variant, std::uint64_t seed) {
  Samples first(seed, DType::f64, device, variant);
  example.run(first);
  Subject subject;
  subject.at = values_of(first.leaves());
  subject.run = [&example, device, variant, seed](const Variables& leaves) {
    Samples samples(seed, DType::f64, device, variant);
    samples.place(leaves);
    return example.run(samples);
  };
  return subject;
}

// On a kink: the gradients of sum(output) against the stated ones.
double stated_error(const Case& example, const Subject& subject) {
  const Variables leaves = leaves_at(subject.at);
  Doubles found;
  for (const Variable& g : gradients(sum(subject.run(leaves)), leaves)) {
    const Doubles values = kernels::to_doubles(g.value());
    found.insert(found.end(), values.begin(), values.end());
  }
  if (found.size() != example.stated.size())
    return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    worst = std::max(worst, std::abs(found[i] - example.stated[i]));
  return worst;
}

// The shape of a gradient without elements is all there is to check.
double empty_error(const Subject& subject) {
  const Variables leaves = leaves_at(subject.at);
  const Variable y = subject.run(leaves);
  const Variables g = gradients(y, leaves, kernels::full(y.shape(), 1, y.dtype(), y.device()));
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i].defined() && g[i].shape() != subject.at[i].shape())
      return 1;
  return 0;
}

// An op without a gradient must refuse by name.
double refusal_error(const Op& op, const Subject& subject) {
  const Variables leaves = leaves_at(subject.at);
  const Variable y = subject.run(leaves);
  try {
    gradients(y, leaves, kernels::full(y.shape(), 1, y.dtype(), y.device()));
  } catch (const Error& error) {
    return std::string(error.what()).starts_with(std::string(op.name()) + ": it has no gradient")
               ? 0
               : 1;
  }
  return 1;
}

double error_of(const Op& op, const Case& example, Variant variant, const Subject& subject,
                int order, std::uint64_t seed) {
  if (!op.differentiable())
    return refusal_error(op, subject);
  if (!example.stated.empty())
    return stated_error(example, subject);
  if (variant == Variant::zero_size)
    return empty_error(subject);
  return (order == 1 ? compare_first : compare_second)(subject, 1, seed + 1).error;
}

}  // namespace

std::vector<Finding> check_gradients(const Op& op, Device device, std::uint64_t seed) {
  std::vector<Finding> findings;
  for (const Case& example : op.cases()) {
    const bool once = !op.differentiable() || !example.stated.empty();
    for (const Variant variant : {Variant::plain, Variant::strided, Variant::offset,
                                  Variant::broadcast, Variant::zero_size}) {
      if (once && variant != Variant::plain)
        break;
      if (std::any_of(example.excluded.begin(), example.excluded.end(),
                      [&](const auto& excluded) { return excluded.first == variant; }))
        continue;
      const int orders = once || !example.second_order || variant == Variant::zero_size ? 1 : 2;
      for (int order = 1; order <= orders; ++order) {
        Finding finding{op.name(),   example.name,
                        variant,     order,
                        0,           order == 1 ? example.first_bar : example.second_bar,
                        example.note};
        try {
          finding.error = error_of(op, example, variant, subject_of(example, device, variant, seed),
                                   order, seed);
        } catch (const std::exception& error) {
          finding.error = std::numeric_limits<double>::infinity();
          finding.note = error.what();
        }
        findings.push_back(std::move(finding));
      }
    }
  }
  return findings;
}

void CheckTally::add(int order, double error, bool passed) {
  ++(passed ? passed_ : failed_);
  std::optional<double>& worst = worst_[order - 1];
  if (!worst || error > *worst || std::isnan(error))
    worst = error;
}

std::string CheckTally::line() const {
  std::string text = fmt::format("{} checks passed, {} failed", passed_, failed_);
  for (int order : {1, 2})
    if (const std::optional<double>& worst = worst_[order - 1])
      text += fmt::format("{} {:.1e} ({} order)", text.ends_with("failed") ? "; worst error" : ",",
                          *worst, order == 1 ? "first" : "second");
  return text;
}

}  // namespace likely
