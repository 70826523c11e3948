#include "kernels/convolution_fastest.h"

#include <cmath>

#include "kernels/fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

std::string key_of(const ConvolutionProblem& p) {
  constexpr const char* names[] = {"forward", "data", "weight"};
  return fmt::format(
      "convolution {} {} {}x{}x{} {}/{} to {}x{} {}, kernel {}x{} stride {}x{} dilation {}x{} "
      "padding {},{}{}{} activation {} threads {}",
      names[static_cast<int>(p.direction)], p.dtype, p.batch, p.image.rows, p.image.columns, p.in,
      p.groups, p.output.rows, p.output.columns, p.out, p.kernel.rows, p.kernel.columns,
      p.stride.rows, p.stride.columns, p.dilation.rows, p.dilation.columns, p.top, p.left,
      p.add ? " add" : "", p.biased ? " bias" : "", static_cast<int>(p.activation), threads());
}

void* ConvolutionProblem::*result_of(Direction direction) {
  return direction == Direction::forward ? &ConvolutionProblem::y
         : direction == Direction::data  ? &ConvolutionProblem::x
                                         : &ConvolutionProblem::w;
}

struct Size {
  std::int64_t elements, terms;  // of the result, and of one of its sums
};
Size size_of_result(const ConvolutionProblem& p) {
  const std::int64_t x = p.batch * p.image.rows * p.image.columns;
  const std::int64_t y = p.batch * p.output.rows * p.output.columns;
  const std::int64_t taps = p.kernel.rows * p.kernel.columns;
  return p.direction == Direction::forward ? Size{y * p.out, taps * p.in / p.groups}
         : p.direction == Direction::data  ? Size{x * p.in, taps * p.out / p.groups}
                                           : Size{p.out * taps * p.in / p.groups, y};
}

// Rounding errors of sums of many terms grow like the root of their number, in units of the largest
// sums; some more for bias, activation and the final rounding.
template <class T>
bool agree(const T* own, const T* vendor, const Size& size) {
  const double unit = std::is_same_v<T, bf16> ? 0x1p-8 : 0x1p-24;
  double largest = 0, worst = 0;
  for (std::int64_t i = 0; i < size.elements; ++i) {
    const double x = static_cast<float>(own[i]), y = static_cast<float>(vendor[i]);
    if (x == y || (std::isnan(x) && std::isnan(y)))
      continue;
    if (!std::isfinite(x) || !std::isfinite(y))
      return false;
    worst = std::max(worst, std::fabs(x - y));
  }
  for (std::int64_t i = 0; i < size.elements; ++i)
    if (const double x = static_cast<float>(own[i]); std::isfinite(x))
      largest = std::max(largest, std::fabs(x));
  const double growth = std::sqrt(static_cast<double>(size.terms)) * 0x1p-24;
  return worst <= 16 * (growth + unit) * largest;
}

}  // namespace

Source fastest_source(const ConvolutionProblem& problem, const ConvolutionBackend& own,
                      const ConvolutionBackend& vendor) {
  const auto backend = [&](Source source) -> const ConvolutionBackend& {
    return source == Source::own ? own : vendor;
  };
  const auto result = result_of(problem.direction);
  const Size size = size_of_result(problem);
  return winner_of(
      {key_of(problem), problem.*result, size.elements * size_of(problem.dtype), problem.add,
       [&](Source source) { return backend(source).workspace(problem, threads()); },
       [&](Source source, void* to, void* workspace) {
         ConvolutionProblem copy = problem;
         copy.*result = to;
         backend(source).fill(copy, workspace);
       },
       [&](const void* ours, const void* theirs) {
         return problem.dtype == DType::bf16
                    ? agree(static_cast<const bf16*>(ours), static_cast<const bf16*>(theirs), size)
                    : agree(static_cast<const float*>(ours), static_cast<const float*>(theirs),
                            size);
       }});
}

}  // namespace likely::kernels
