#include "kernels/convolution_fastest.h"

#include "kernels/fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

std::string key_of(const ConvolutionProblem& p) {
  constexpr const char* names[] = {"forward", "data", "weight"};
  return fmt::format(
      "convolution {} {} {}x{}x{} {}/{} to {}x{} {}, kernel {}x{} stride {}x{} dilation {}x{} "
      "padding {},{}{}{} activation {}{}",
      names[static_cast<int>(p.direction)], p.dtype, p.batch, p.image.rows, p.image.columns, p.in,
      p.groups, p.output.rows, p.output.columns, p.out, p.kernel.rows, p.kernel.columns,
      p.stride.rows, p.stride.columns, p.dilation.rows, p.dilation.columns, p.top, p.left,
      p.add ? " add" : "", p.biased ? " bias" : "", static_cast<int>(p.activation),
      alignments({p.x, p.w, p.y}));
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

}  // namespace

Winner fastest_convolution(const ConvolutionProblem& p, const ConvolutionBackend& own,
                           const ConvolutionBackend& vendor) {
  const auto result = result_of(p.direction);
  const Size size = size_of_result(p);
  return winner_of(
      {"convolution",
       key_of(p),
       p.dtype,
       p.tf32,
       p.add,
       {{p.dtype, size.elements, size.terms, p.*result}}},
      p, own, vendor, {result},
      [](const ConvolutionBackend& by, const ConvolutionProblem& q) {
        return by.workspace(q, threads());
      },
      [](const ConvolutionBackend& by, const ConvolutionProblem& q, void* memory) {
        by.fill(q, memory);
      });
}

}  // namespace likely::kernels
