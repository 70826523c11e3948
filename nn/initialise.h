// Initialisers. Fans are those of a weight [out, …, in]: fan_in is the product of all axes but the
// first, fan_out of all but the last. All draw in f32 (orthogonal in f64), whatever the parameter's
// type.
#pragma once
#include "nn/module.h"

namespace likely {

Initialiser constant(double value);
Initialiser zeros();
Initialiser normal(double standard_deviation, double mean = 0);
Initialiser glorot_uniform();  // Glorot & Bengio 2010: ± √(6 / (fan_in + fan_out))
Initialiser glorot_normal();
Initialiser he_uniform();  // He et al. 2015: ± √(6 / fan_in)
Initialiser he_normal();
// Saxe et al. 2014: the rows of [out, fan_in], or its columns where they are fewer, are orthonormal
// times the gain, and uniformly distributed.
Initialiser orthogonal(double gain = 1);

}  // namespace likely
