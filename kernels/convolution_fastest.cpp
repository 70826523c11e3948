#include "kernels/convolution_fastest.h"

#include "kernels/fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

std::string key_of(const ConvolutionProblem& p) {
  constexpr const char* names[] = {"forward", "data", "weight"};
  return fmt::format(
      "convolution {} {} {}x{}x{} {}/{} to {}x{} {}, kernel {}x{} stride {}x{} dilation {}x{} "
      "padding {},{}{}{} activation {}",
      names[static_cast<int>(p.direction)], p.dtype, p.batch, p.image.rows, p.image.columns, p.in,
      p.groups, p.output.rows, p.output.columns, p.out, p.kernel.rows, p.kernel.columns,
      p.stride.rows, p.stride.columns, p.dilation.rows, p.dilation.columns, p.top, p.left,
      p.add ? " add" : "", p.biased ? " bias" : "", static_cast<int>(p.activation));
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

Source fastest_source(const ConvolutionProblem& problem, const ConvolutionBackend& own,
                      const ConvolutionBackend& vendor) {
  const auto backend = [&](Source source) -> const ConvolutionBackend& {
    return source == Source::own ? own : vendor;
  };
  const auto result = result_of(problem.direction);
  const Size size = size_of_result(problem);
  return winner_of({"convolution", key_of(problem), problem.*result, problem.dtype, problem.tf32,
                    size.elements, size.terms, problem.add,
                    [&](Source source) { return backend(source).workspace(problem, threads()); },
                    [&](Source source, void* to, void* workspace) {
                      ConvolutionProblem copy = problem;
                      copy.*result = to;
                      backend(source).fill(copy, workspace);
                    }});
}

}  // namespace likely::kernels
