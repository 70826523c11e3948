// Convolutions of the CPU: the fast kernels against the plain one, threads, and the vendor's.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/choice.h"
#include "kernels/convolution_fastest.h"
#include "tests/kernels/convolution_problems.h"
#include "tests/kernels/vendor.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// Larger ones: several strips, panels, shares and pieces for threads.
const ConvolutionSizes large_convolutions[] = {
    {3, {17, 19}, 3, 40, 4, {.stride = 2, .padding = 1}},
    {4, {20, 18}, 24, 3, 3, {.padding = 1}},
    {2, {33, 37}, 5, 17, 3, {.stride = {2, 1}, .padding = {1, 2, 0, 1}}},
    {1, {70, 65}, 2, 33, {3, 5}, {.padding = 2}},
    {5, {6, 6}, 130, 70, 1},
    {17, {4, 6}, 70, 40, 4, {.stride = 2, .padding = 1}},  // many images, much padding
    {8, {2, 3}, 16, 16, 5, {.padding = 4}},                // some pixels see padding alone

};

template <class F>
void for_all_sizes(F f) {
  for (const ConvolutionSizes& s : odd_convolutions)
    f(s);
  for (const ConvolutionSizes& s : large_convolutions)
    f(s);
}

ConvolutionProblem problem_with(Direction direction, const ConvolutionSizes& s, const Images& of) {
  ConvolutionProblem p = problem_of(s, direction);
  p.x = of.x.raw();
  p.w = of.w.raw();
  p.y = of.y.raw();
  return p;
}

// As `run`, by the plain kernel.
std::vector<double> by_plain(Direction direction, const ConvolutionSizes& s, const Images& of) {
  Images plain = of;
  Tensor& result = direction == Direction::forward ? plain.y
                   : direction == Direction::data  ? plain.x
                                                   : plain.w;
  result = unwritten(result.shape());
  for (const ConvolutionBackend* candidate : convolution_family().candidates(Device{}))
    if (std::string(candidate->name) == "convolution plain")
      candidate->fill(problem_with(direction, s, plain), nullptr);
  return to_doubles(result);
}

}  // namespace

TEST_CASE("convolution: forward and data gradient have the plain kernel's bits" * cpu_only) {
  for_all_sizes([](const ConvolutionSizes& s) {
    const Images of = images_of(s);
    CAPTURE(s.x_shape());
    CAPTURE(s.w_shape());
    for (const Direction direction : {Direction::forward, Direction::data})
      CHECK(to_doubles(run(direction, s, of)) == by_plain(direction, s, of));
    CHECK(largest_error(to_doubles(run(Direction::weight, s, of)),
                        by_plain(Direction::weight, s, of)) < 1e-4);
  });
}

TEST_CASE("convolution: threads change no bit" * cpu_only) {
  for (const ConvolutionSizes& s : large_convolutions)
    for (const Direction direction : directions) {
      const Images of = images_of(s);
      const auto result = [&] { return to_doubles(run(direction, s, of)); };
      CAPTURE(s.x_shape());
      const std::vector<double> one = on_threads(1, result);
      CHECK(on_threads(2, result) == one);
      CHECK(on_threads(7, result) == one);
    }
}

TEST_CASE("convolution: the vendor's agree with ours, in all directions" * cpu_only) {
  if (!vendor_libraries(Device::cpu).at(1).problem.empty())
    return;
  const OwnAgain after;
  std::size_t served = 0, all = 0;
  for_all_sizes([&](const ConvolutionSizes& s) {
    const Images of = images_of(s);
    for (const Direction direction : directions) {
      const bool weight = direction == Direction::weight;
      const std::int64_t channels = direction == Direction::data ? s.in : s.out;
      const Epilogue epilogue{rough({channels}, DType::f32, 6), Activation::leaky_relu};
      const auto result = [&] {
        return to_doubles(run(direction, s, of, weight ? Epilogue{} : epilogue));
      };
      choose_kernels("own");
      const std::vector<double> own = result();
      choose_kernels("convolution=vendor");
      const LaunchLog log;
      CAPTURE(s.x_shape());
      CAPTURE(static_cast<int>(direction));
      CHECK(largest_error(result(), own) < 1e-4);
      served += std::string(log.launches().at(0).kernel) == "convolution oneDNN";
      ++all;
    }
  });
  CHECK(served * 2 > all);  // what it has nothing for, own kernels serve
}

TEST_CASE("convolution: fastest measures once for a problem and remembers" * cpu_only) {
  if (!vendor_libraries(Device::cpu).at(1).problem.empty())
    return;
  const OwnAgain after;
  choose_kernels("convolution=fastest");
  const ConvolutionSizes s{2, {9, 11}, 13, 14, 3, {.padding = 1}};
  const Images of = images_of(s);
  const auto served_by = [&] {
    const LaunchLog log;
    run(Direction::forward, s, of);
    return std::string(log.launches().at(0).kernel);
  };
  const std::string first = served_by();
  std::string text = remembered_choices();
  const std::size_t line = text.find(
      "convolution forward f32 2x9x11 13/1 to 9x11 14, kernel 3x3 stride 1x1 dilation 1x1 padding "
      "1,1 activation 0");
  REQUIRE(line != std::string::npos);
  const std::size_t colon = text.find(": ", line);  // a record that says the opposite is believed
  const bool own = first == "convolution own";
  text.replace(colon + 2, own ? 3 : 6, own ? "vendor" : "own");
  restore_choices(text);
  CHECK(served_by() != first);
}

TEST_CASE("convolution: fastest never takes results that disagree, however fast" * cpu_only) {
  const OwnAgain after;
  const ConvolutionSizes s{1, {5, 6}, 7, 8, 3};
  const Images of = images_of(s);
  const ConvolutionBackend& own = *convolution_family().find(Device{}, Source::own);
  ConvolutionBackend wrong = own;
  wrong.fill = [](const ConvolutionProblem& p, void*) { *static_cast<float*>(p.y) = 1; };
  const std::vector<double> before = to_doubles(of.y);
  CHECK(fastest_convolution(problem_with(Direction::forward, s, of), own, wrong) ==
        Winner{Source::own, -1});
  CHECK(to_doubles(of.y) == before);  // measured elsewhere
}
