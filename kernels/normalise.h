// Normalisation of channels, the last axis, by mean and variance; scale, shift and activation in
// the same pass.
#pragma once
#include "kernels/activation.h"
#include "kernels/backend.h"

namespace likely::kernels {

// What one mean and one variance are taken over: all axes but the last (batch normalisation), or
// those between the first and the last (instance normalisation).
enum class Over { batch, image };

// [channels], or [images, channels] over images. f32, but f64 where x is; so are scale, shift and
// sums. The variance is biased: its divisor is the number of elements. `group` adjacent channels
// have theirs in common (group normalisation): each has the same values. With `offset` [images,
// channels], of a statistic's type, they are those of x + offset, the mean less the offset: what
// normalises x by them normalises x + offset, which is never written.
struct Moments {
  Tensor mean, variance;
  std::int64_t group = 1;
};
Moments moments(const Tensor& x, Over over, std::int64_t group = 1, const Tensor& offset = {});

struct Normalise {
  double epsilon = 1e-5;
  Activation activation = Activation::none;
  double slope = 0.2;  // of leaky_relu below zero; with gradients 0 or more
};

// activation(scale x̂ + shift) with x̂ = (x - mean) / √(variance + ε). scale and shift [channels];
// undefined: 1 and 0. The moments may be of this x or any others of its channels.
Tensor normalise(const Tensor& x, const Moments& by, const Tensor& scale, const Tensor& shift,
                 const Normalise& how = {});

// Backward, where h is g times the activation's slope, which y gives (read only where
// slope_reads_value): the sums of h and of h x̂ of a channel over what the moments are of, shaped
// like these: the gradients of shift and scale, of each image.
struct NormaliseSums {
  Tensor shift, scale;
};
NormaliseSums normalise_sums(const Tensor& g, const Tensor& x, const Tensor& y, const Moments& by,
                             const Tensor& scale, const Tensor& shift, const Normalise& how = {});
// The gradient of x. With sums the moments are functions of x; without (undefined) they are given.
Tensor normalise_data(const Tensor& g, const Tensor& x, const Tensor& y, const Moments& by,
                      const Tensor& scale, const Tensor& shift, const NormaliseSums& sums,
                      const Normalise& how = {});

// moments() and normalise() by them, and normalise_sums() with the normalise_data() of these: what
// some backends compute together.
struct Normalised {
  Tensor y;
  Moments by;
};
Normalised normalised(const Tensor& x, const Tensor& scale, const Tensor& shift,
                      const Normalise& how = {}, Over over = Over::batch, std::int64_t group = 1,
                      const Tensor& offset = {});
struct NormaliseGradients {
  Tensor x;
  NormaliseSums sums;
};
NormaliseGradients normalise_gradients(const Tensor& g, const Tensor& x, const Tensor& y,
                                       const Moments& by, const Tensor& scale, const Tensor& shift,
                                       const Normalise& how = {});

// Which part of the work a problem is: one of the parts, or all of them together.
enum class Whole { no, values, gradients };

// What a backend fills; all tensors contiguous. Statistics and sums are [images, channels].
struct NormaliseProblem {
  DType dtype;
  std::int64_t images, positions, channels;  // x, g, y, out [images, positions, channels]
  std::int64_t group;                        // channels that have their moments in common
  const void *x, *g, *y;
  void *mean, *variance;
  const void* offset;           // [images, channels], or null; of moments of groups
  const void *scale, *shift;    // [channels], or null
  void *sum_shift, *sum_scale;  // null in data(): the moments are given
  void* out;
  Normalise how;
  Whole whole = Whole::no;
};
struct NormaliseBackend {
  const char* name;
  std::size_t (*workspace)(const NormaliseProblem& problem);          // bytes, of moments and sums
  void (*moments)(const NormaliseProblem& problem, void* workspace);  // → mean, variance
  void (*sums)(const NormaliseProblem& problem, void* workspace);     // → sum_shift, sum_scale
  void (*normalise)(const NormaliseProblem& problem);                 // → out
  void (*data)(const NormaliseProblem& problem);                      // → out
  // All at once, where it has that; of a vendor, which has nothing else, with scale and shift.
  bool (*serves)(const NormaliseProblem& problem) = nullptr;
  void (*fill)(const NormaliseProblem& problem, void* workspace) = nullptr;
};
Family<NormaliseBackend>& normalise_family();

}  // namespace likely::kernels
