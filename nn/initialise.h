// Initialisers. Fans are those of a weight [out, …, in]: fan_in = product of all axes but the
// first.
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
Initialiser orthogonal(double gain = 1);  // Saxe et al. 2014: rows or columns orthonormal, in f64,
                                          // by Gram–Schmidt twice

}  // namespace likely
