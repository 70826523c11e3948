// What an optimiser's pass does to one element, written once for all devices, and the numbers that
// it takes from the step.
#pragma once
#include "kernels/math.h"

namespace likely::kernels {

// What is known of a pass over a segment before its update.
struct PassSettings {
  double beta1 = 0, beta2 = 0, epsilon = 0;
  bool corrects = false;  // the bias of the moments, as Adam does
  double clip = 0;
  double average_decay = 0;
  double bound = 0;
  double rate = 1, weight_decay = 0;  // of the segment
};

template <class T>
struct PassNumbers {
  T scale;           // of the gradient, by clipping
  T rate;            // with Adam's correction of the first moment's bias
  T decay;           // rate times weight decay
  T beta1, weight1;  // decay of the first moment (SGD's momentum), and 1 - that
  T beta2, weight2;  // of the second
  T correction;      // 1 / √(1 - beta2^count): of the second moment's root
  T epsilon;
  T average_weight;  // 1 - the average's decay
  T bound;           // of the values' magnitude
};

// The guard's flag for a finite gradient.
template <class GuardLimits>
LIKELY_HD bool exceeds(const GuardLimits& limits, double norm, double rate) {
  const double clipped = limits.clip > 0 && norm > limits.clip ? limits.clip : norm;
  return !(norm <= limits.norm && clipped <= limits.clipped && abs(rate) <= limits.rate);
}

// Worked out in f64. `count` is the optimiser's own number of updates, this one among them.
template <class T>
LIKELY_HD PassNumbers<T> numbers_of(const PassSettings& how, double rate, double norm,
                                    double count) {
  const double segment_rate = rate * how.rate, warm_up = (1 + count) / (10 + count);
  PassNumbers<T> numbers{};
  numbers.scale = static_cast<T>(how.clip > 0 && norm > how.clip ? how.clip / norm : 1);
  numbers.rate = static_cast<T>(how.corrects ? segment_rate / (1 - __builtin_pow(how.beta1, count))
                                             : segment_rate);
  numbers.decay = static_cast<T>(segment_rate * how.weight_decay);
  numbers.beta1 = static_cast<T>(how.beta1);
  numbers.weight1 = static_cast<T>(1 - how.beta1);
  numbers.beta2 = static_cast<T>(how.beta2);
  numbers.weight2 = static_cast<T>(1 - how.beta2);
  numbers.correction =
      static_cast<T>(how.corrects ? 1 / sqrt(1 - __builtin_pow(how.beta2, count)) : 1);
  numbers.epsilon = static_cast<T>(how.epsilon);
  numbers.average_weight =
      static_cast<T>(1 - (how.average_decay < warm_up ? how.average_decay : warm_up));
  numbers.bound = static_cast<T>(how.bound > 0 ? how.bound : __builtin_inf());
  return numbers;
}

// Each method gives the step that the value takes, before the rate, and says which moments it has.
struct AdamStep {
  static constexpr bool first = true, second = true;
  template <class T>
  LIKELY_HD T operator()(const PassNumbers<T>& n, T g, T& m, T& v) const {
    m = multiply_add(n.beta1, m, n.weight1 * g);
    v = multiply_add(n.beta2, v, n.weight2 * g * g);
    return m / multiply_add(sqrt(v), n.correction, n.epsilon);
  }
};
struct RmsPropStep {
  static constexpr bool first = false, second = true;
  template <class T>
  LIKELY_HD T operator()(const PassNumbers<T>& n, T g, T&, T& v) const {
    v = multiply_add(n.beta2, v, n.weight2 * g * g);
    return g / (sqrt(v) + n.epsilon);
  }
};
struct SgdStep {
  static constexpr bool first = false, second = false;
  template <class T>
  LIKELY_HD T operator()(const PassNumbers<T>&, T g, T&, T&) const {
    return g;
  }
};
struct MomentumStep {
  static constexpr bool first = true, second = false;
  template <class T>
  LIKELY_HD T operator()(const PassNumbers<T>& n, T g, T& m, T&) const {
    return m = multiply_add(n.beta1, m, g);
  }
};

template <class Step, class T>
LIKELY_HD T updated(const PassNumbers<T>& n, T value, T gradient, T& m, T& v) {
  const T step = Step()(n, n.scale * gradient, m, v);
  const T moved = multiply_add(-n.rate, step, multiply_add(-n.decay, value, value));
  return moved > n.bound ? n.bound : moved < -n.bound ? -n.bound : moved;
}

// The average after the value.
template <class T>
LIKELY_HD T followed(const PassNumbers<T>& n, T average, T value) {
  return multiply_add(n.average_weight, value - average, average);
}

}  // namespace likely::kernels
