// One pass over values, gradients and moments: every element is read once and written once.
#include "kernels/cpu/isa/optimiser.h"

namespace likely::kernels::LIKELY_ISA {
namespace {

constexpr int lanes = 16;

template <class T>
void follow(const OptimiserRange<T>& given) {
  const OptimiserRange<T> r = given;
#pragma omp simd
  for (std::int64_t i = 0; i < r.count; ++i)
    r.average[i] = followed(r.numbers, r.average[i], r.values[i]);
}

template <bool averages, class Step, class T>
void pass_of(const OptimiserRange<T>& given) {
  const OptimiserRange<T> r = given;
#pragma omp simd
  for (std::int64_t i = 0; i < r.count; ++i) {
    T first = Step::first ? r.first[i] : T(0), second = Step::second ? r.second[i] : T(0);
    const T value = updated<Step>(r.numbers, r.values[i], r.gradients[i], first, second);
    if constexpr (Step::first)
      r.first[i] = first;
    if constexpr (Step::second)
      r.second[i] = second;
    r.values[i] = value;
    if constexpr (averages)
      r.average[i] = followed(r.numbers, r.average[i], value);
  }
}

template <class Step, class T>
void pass(const OptimiserRange<T>& range) {
  range.average ? pass_of<true, Step>(range) : pass_of<false, Step>(range);
}

template <class T>
void squares(const T* x, std::int64_t count, double* sum, double* finite) {
  double square[lanes] = {}, zero[lanes] = {};
  const std::int64_t whole = count / lanes * lanes;
  for (std::int64_t i = 0; i < whole; i += lanes)
    for (int l = 0; l < lanes; ++l) {
      const double value = x[i + l];
      square[l] += value * value;
      if constexpr (sizeof(T) == 8)
        zero[l] += value - value;
    }
  for (std::int64_t i = whole; i < count; ++i) {
    const double value = x[i];
    square[i - whole] += value * value;
    zero[i - whole] += value - value;
  }
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) {
      square[l] += square[l + half];
      zero[l] += zero[l + half];
    }
  *sum = square[0];
  *finite = sizeof(T) == 8 ? zero[0] : square[0] - square[0];
}

template <class T>
constexpr OptimiserLoops<T> loops{pass<AdamStep, T>, pass<RmsPropStep, T>,
                                  pass<SgdStep, T>,  pass<MomentumStep, T>,
                                  follow<T>,         squares<T>};

}  // namespace

const OptimiserTable optimiser_table{loops<float>, loops<double>};

}  // namespace likely::kernels::LIKELY_ISA
