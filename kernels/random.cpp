// The front of random tensors: checks, and the sort behind a permutation.
#include "kernels/random.h"

#include <algorithm>
#include <numeric>

#include "kernels/copy.h"

namespace likely::kernels {
namespace {

// `words` is how many words of the draw the result reads.
Tensor drawn(const char* operation, const Shape& shape, DType dtype, const Draw& draw,
             RandomProblem problem, std::int64_t words) {
  require(draw.state.defined() && draw.state.dtype() == DType::u8 && draw.state.contiguous() &&
              draw.state.bytes() == sizeof(StepState),
          "{}: the draw has no step state. Use Random::draw().", operation);
  require(words <= std::int64_t{1} << 34,
          "{}: {} needs more random words than one draw has, 2^34. Make several draws.", operation,
          shape);
  const Tensor out = Tensor::empty(shape, dtype, draw.state.device());
  const bool reads = problem.kind == RandomKind::bernoulli || problem.kind == RandomKind::dropout;
  const std::size_t read = reads ? out.bytes() : 0;
  launched({operation, 0, static_cast<double>(out.bytes() + read)});
  if (out.is_meta() || out.numel() == 0)
    return out;
  problem.dtype = dtype;
  problem.count = out.numel();
  problem.state = draw.state.raw();
  problem.purpose = draw.purpose;
  problem.index = draw.index;
  problem.out = out.raw();
  random_family().serving(out.device()).fill(problem);
  return out;
}

RandomProblem of(RandomKind kind) {
  RandomProblem problem{};
  problem.kind = kind;
  return problem;
}

// A number for each element of a floating-point tensor, which it reads.
Tensor drawn_by(const char* operation, const char* what, const Tensor& given, const Draw& draw,
                RandomProblem problem) {
  require(given.defined() && is_floating(given.dtype()), "{}: {} {}. Give f32, f64 or bf16.",
          operation, what, given.defined() ? name_of(given.dtype()) : "undefined");
  require(given.device() == draw.state.device(),
          "{}: {} on {}, the step state on {}. Use to() first.", operation, what, given.device(),
          draw.state.device());
  const Tensor read = contiguous(given);
  problem.given = raw_or_null(read);
  return drawn(operation, read.shape(), read.dtype(), draw, problem, read.numel());
}

}  // namespace

Family<RandomBackend>& random_family() {
  static Family<RandomBackend> family("random");
  return family;
}

Tensor random_bits(const Shape& shape, const Draw& draw) {
  return drawn("random_bits", shape, DType::i32, draw, of(RandomKind::bits), shape.numel());
}

Tensor uniform(const Shape& shape, const Draw& draw, DType dtype) {
  require(is_floating(dtype), "uniform: {} holds no numbers in (0, 1). Ask for f32, f64 or bf16.",
          dtype);
  return drawn("uniform", shape, dtype, draw, of(RandomKind::uniform), shape.numel());
}

Tensor normal(const Shape& shape, const Draw& draw, DType dtype) {
  require(is_floating(dtype), "normal: {} holds no normal numbers. Ask for f32, f64 or bf16.",
          dtype);
  return drawn("normal", shape, dtype, draw, of(RandomKind::normal), shape.numel());
}

Tensor bernoulli(const Tensor& probability, const Draw& draw) {
  return drawn_by("bernoulli", "the probabilities are", probability, draw,
                  of(RandomKind::bernoulli));
}

Tensor dropout(const Tensor& x, double keep, const Draw& draw) {
  require(keep > 0 && keep <= 1, "dropout: keeps with probability {}. Give one in (0, 1].", keep);
  RandomProblem problem = of(RandomKind::dropout);
  problem.keep = keep;
  return drawn_by("dropout", "x is", x, draw, problem);
}

Tensor integers(const Shape& shape, std::int64_t below, const Draw& draw) {
  require(below > 0, "integers: there is none in [0, {}). Give a positive bound.", below);
  RandomProblem problem = of(RandomKind::integers);
  problem.below = below;
  return drawn("integers", shape, DType::i64, draw, problem, 2 * shape.numel());
}

Tensor permutation(std::int64_t n, const Draw& draw) {
  require(n >= 0, "permutation: of {} elements. Give 0 or more.", n);
  const Tensor bits = random_bits({n, 2}, draw);
  Tensor out = Tensor::empty({n}, DType::i64, bits.device());
  if (out.is_meta() || n == 0)
    return out;
  const Tensor words = bits.to(Device::cpu);
  const auto* word = reinterpret_cast<const std::uint32_t*>(words.data<std::int32_t>());
  std::vector<std::pair<std::uint64_t, std::int64_t>> keys(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i)
    keys[i] = {word[2 * i] | std::uint64_t{word[2 * i + 1]} << 32, i};
  std::sort(keys.begin(), keys.end());
  std::vector<std::int64_t> order;
  order.reserve(keys.size());
  for (const auto& [key, position] : keys)
    order.push_back(position);
  out.copy_from_host(order.data());
  return out;
}

}  // namespace likely::kernels
