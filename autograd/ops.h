// The differentiable operations. Each family lives in autograd/ops/<family>.cpp with its test
// cases.
#pragma once
#include "autograd/variable.h"
#include "kernels/attention.h"
#include "kernels/convolution.h"
#include "kernels/matmul.h"
#include "kernels/normalise.h"
#include "kernels/pool.h"
#include "kernels/reduce.h"
#include "tensor/random.h"

namespace likely {

using kernels::Activation;
using kernels::AttentionOptions;
using kernels::ConvolutionOptions;
using kernels::Keep;
using kernels::Pixels;

// Pointwise; shapes broadcast.
Variable operator+(const Variable& a, const Variable& b);
Variable operator-(const Variable& a, const Variable& b);
Variable operator*(const Variable& a, const Variable& b);
Variable operator/(const Variable& a, const Variable& b);
Variable operator-(const Variable& x);
Variable operator*(const Variable& x, double factor);
Variable operator*(double factor, const Variable& x);
Variable operator+(const Variable& x, double term);
Variable operator+(double term, const Variable& x);
Variable operator-(const Variable& x, double term);
Variable operator-(double term, const Variable& x);
Variable operator/(const Variable& x, double divisor);
Variable exp(const Variable& x);
Variable log(const Variable& x);
Variable sqrt(const Variable& x);
Variable square(const Variable& x);
Variable reciprocal(const Variable& x);
Variable tanh(const Variable& x);
Variable sigmoid(const Variable& x);
Variable softplus(const Variable& x);  // log(1 + eˣ)
Variable erf(const Variable& x);
Variable relu(const Variable& x);                      // 0 at 0, and so is its slope
Variable leaky_relu(const Variable& x, double slope);  // the slope at 0 is `slope`
Variable silu(const Variable& x);
Variable gelu(const Variable& x);                            // x Φ(x), exact
Variable abs(const Variable& x);                             // slope 0 at 0
Variable clamp(const Variable& x, double low, double high);  // slope 1 inside and on the ends
Variable gated_tanh(const Variable& f, const Variable& g);   // tanh(f) sigmoid(g)
Variable activated(const Variable& x, Activation activation, double slope);
// g times the activation's slope where its value is y: what an epilogue's gradient needs. Not of
// silu, nor of leaky_relu with a slope below 0, where y does not tell.
Variable activation_slope(const Variable& g, const Variable& y, Activation activation,
                          double slope);

// Fused likelihood terms, each one formula.
Variable bernoulli_log_prob(const Variable& x, const Variable& logits);  // x l - softplus(l)
Variable normal_log_prob(const Variable& x, const Variable& mean, const Variable& log_variance);
// Of a number in [-1, 1] that takes `levels` evenly spaced values: the logistic's mass around it
// (kernels/formulas.h).
Variable discretised_logistic_log_prob(const Variable& x, const Variable& mean,
                                       const Variable& log_scale, std::int64_t levels);
// KL(N(mean, exp log_variance) ‖ N(other…)) an element
Variable normal_kl(const Variable& mean, const Variable& log_variance, const Variable& other_mean,
                   const Variable& other_log_variance);
// KL(N(mean, exp log_variance) ‖ N(0, 1)) an element: ½ (mean² + e^lv - 1 - lv)
Variable standard_normal_kl(const Variable& mean, const Variable& log_variance);
// What one outcome adds to KL(p ‖ q) = Σ p log (p / q), never less than 0: summed over all it is
// that.
Variable kl_term(const Variable& log_p, const Variable& log_q);
// mean + exp(½ log_variance) noise
Variable reparameterise(const Variable& mean, const Variable& log_variance, const Variable& noise);

// Reductions; all axes where none is named.
Variable sum(const Variable& x, const std::vector<int>& axes = {}, Keep keep = Keep::no);
Variable mean(const Variable& x, const std::vector<int>& axes = {}, Keep keep = Keep::no);
Variable sum_to(const Variable& x, const Shape& shape, const kernels::Into& into = {});
Variable softmax(const Variable& x, int axis);
Variable log_softmax(const Variable& x, int axis);
Variable log_sum_exp(const Variable& x, int axis, Keep keep = Keep::no);
// log softmax at a class a row: logits [..., classes], index i64 [...] → [...], without an array of
// the logits' size. An index outside [0, classes) gives NaN.
Variable categorical_log_prob(const Variable& logits, const Tensor& index);
Variable argmax(const Variable& x, int axis);  // i64; has no gradient, and says so in backward

// Products.
Variable matmul(const Variable& a, const Variable& b, const kernels::Into& into = {});
// activation(x wᵀ + bias): x [..., in], w [out, in], bias [out] or none → [..., out]. Where the
// activation's gradient does not follow from its value (silu; leaky_relu with a slope below 0) it
// is an op of its own, here and below.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias,
                Activation activation = Activation::none, double slope = 0.2);

// softmax(scale q kᵀ) v for each head: q [batch, queries, heads, channels], k and v [batch, keys,
// heads, channels]; the options in kernels/attention.h.
Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& how = {});

// Convolutions, NHWC; shapes, and what the options mean, in kernels/convolution.h. bias: [out] or
// none.
Variable convolution(const Variable& x, const Variable& weight, const Variable& bias,
                     const ConvolutionOptions& options = {},
                     Activation activation = Activation::none, double slope = 0.2);
// weight [in, rows, columns, out / groups]; without an image the smallest.
Variable transposed_convolution(const Variable& x, const Variable& weight, const Variable& bias,
                                const ConvolutionOptions& options = {}, Pixels image = 0,
                                Activation activation = Activation::none, double slope = 0.2);
// The gradient of the convolution of x in its weight: g has the shape of its output.
Variable convolution_weight(const Variable& x, const Variable& g, Pixels kernel,
                            const ConvolutionOptions& options = {}, const kernels::Into& into = {});

// Normalisation of the channels, the last axis: activation(scale x̂ + shift), x̂ = (x - mean) /
// √(variance + ε). scale and shift [channels], or none.
struct Normalised {
  Variable y;
  kernels::Moments moments;  // of x, without history
};
// Over all axes but the last; as gradients see it the moments are functions of x.
Normalised batch_norm(const Variable& x, const Variable& scale, const Variable& shift,
                      const kernels::Normalise& how = {});
// By given moments [channels]: running statistics.
Variable batch_norm_by(const Variable& x, const kernels::Moments& given, const Variable& scale,
                       const Variable& shift, const kernels::Normalise& how = {});
// Each image by its own moments: x [images, …, channels].
Variable instance_norm(const Variable& x, const Variable& scale, const Variable& shift,
                       const kernels::Normalise& how = {});
// Wu & He 2018: each image by its own moments, which neighbouring channels of a group have in
// common. `offset` [images, channels], where there is one, is added to x first, in the same pass.
Variable group_norm(const Variable& x, const Variable& scale, const Variable& shift,
                    std::int64_t groups, const kernels::Normalise& how = {},
                    const Variable& offset = none);

// Each row of the last axis by its own moments: x [..., channels].
Variable layer_norm(const Variable& x, const Variable& scale, const Variable& shift,
                    const kernels::Normalise& how = {});

// Changes of an image's size, NHWC: x [batch, height, width, channels].
using kernels::PoolOptions;
Variable max_pool(const Variable& x, const PoolOptions& options);      // the first, where several
Variable average_pool(const Variable& x, const PoolOptions& options);  // padding counts as zeros
using kernels::Padding;
Variable pad(const Variable& x, const Padding& by, double value = 0);
Variable upsample_nearest(const Variable& x, Pixels factor);  // every pixel, so many times
// The sum of each block of so many pixels: the adjoint of upsample_nearest. Height and width are
// multiples of the block's.
Variable block_sum(const Variable& x, Pixels block);
// Shi et al. 2016, eq. 4: [batch, h, w, channels · rows · columns] → [batch, h · rows, w · columns,
// channels]; a channel's pixels lie together, row by row. And back.
Variable pixel_shuffle(const Variable& x, Pixels factor);
Variable pixel_unshuffle(const Variable& x, Pixels factor);

// Views and copies.
Variable reshape(const Variable& x, const Shape& shape);  // copies where x is not contiguous
Variable transpose(const Variable& x, int a = -2, int b = -1);
Variable permute(const Variable& x, const std::vector<int>& axes);
Variable slice(const Variable& x, int axis, std::int64_t begin, std::int64_t end,
               std::int64_t step = 1);
// g where the slice of a tensor of `shape` lay, zero elsewhere: the adjoint of slice.
Variable unslice(const Variable& g, const Shape& shape, int axis, std::int64_t begin,
                 std::int64_t step);
Variable expand(const Variable& x, const Shape& shape);
Variable squeeze(const Variable& x, int axis);
Variable unsqueeze(const Variable& x, int axis);
Variable concatenate(const Variables& parts, int axis);
// Parts of so many elements each along an axis, which they fill: the opposite of concatenate.
Variables split(const Variable& x, const std::vector<std::int64_t>& sizes, int axis);
Variable contiguous(const Variable& x);
Variable cast(const Variable& x, DType dtype);

// Rows and elements by index (i64).
Variable take(const Variable& x, const Tensor& index);  // rows index[i] of axis 0
Variable scatter_add(const Variable& g, const Tensor& index, std::int64_t rows);  // its adjoint
Variable pick(const Variable& x, const Tensor& index);  // x [n, classes] → [n]
Variable place(const Variable& g, const Tensor& index, std::int64_t classes);  // its adjoint

// x / keep with probability `keep`, else 0; the draw says where, so that no mask is kept.
Variable dropout(const Variable& x, double keep, const Draw& draw);

// The value without its history: the one visible way to stop a gradient.
Variable stop_gradient(const Variable& x);

}  // namespace likely
