// Convolutions on a GPU: the plain kernel, a thread an output, for every type; and the rules by
// which tiled products serve.
#include <algorithm>

#include "kernels/convert.h"
#include "kernels/convolution_geometry.h"
#include "kernels/convolution_parts.h"
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"

namespace likely::kernels::cuda {
namespace {

// One output's accumulator. It takes terms in the order of the CPU's plain kernel.
template <class T, bool tf32>
class Output {
 public:
  LIKELY_DEVICE Output(const ConvolutionProblem& p, T* result)
      : result_(result), sum_(p.add ? Computed<T>(*result) : Computed<T>(0)) {}

  LIKELY_DEVICE void add(const T* a, const T* b, std::int64_t terms, std::int64_t a_step,
                         std::int64_t b_step) {
    for (std::int64_t i = 0; i < terms; ++i)
      sum_ = multiply_add(rounded(a[i * a_step]), rounded(b[i * b_step]), sum_);
  }

  LIKELY_DEVICE void finish(const ConvolutionProblem& p, std::int64_t channel) {
    if (p.biased)
      sum_ = sum_ + Computed<T>(static_cast<const T*>(p.bias)[channel]);
    *result_ = T(activated(p, sum_));
  }

 private:
  LIKELY_DEVICE static Computed<T> rounded(T x) {
    if constexpr (tf32)
      return __builtin_bit_cast(float, to_tf32(x));
    else
      return Computed<T>(x);
  }

  T* result_;
  Computed<T> sum_;
};

template <class T, bool tf32>
LIKELY_DEVICE void forward(const ConvolutionGeometry<T>& of, std::int64_t index) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t channel = index % p.out, pixel = index / p.out;
  const std::int64_t column = pixel % p.output.columns, above = pixel / p.output.columns;
  const std::int64_t row = above % p.output.rows, batch = above / p.output.rows;
  const std::int64_t first = channel / of.group_out() * of.group_in();
  Output<T, tf32> output(p, of.y() + index);
  for (std::int64_t r = 0; r < p.kernel.rows; ++r)
    for (std::int64_t c = 0; c < p.kernel.columns; ++c)
      if (const T* x = of.image_at(batch, row, column, r, c))
        output.add(x + first, of.weight_at(channel, r, c), of.group_in(), 1, 1);
  output.finish(p, channel);
}

template <class T, bool tf32>
LIKELY_DEVICE void data(const ConvolutionGeometry<T>& of, std::int64_t index) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t channel = index % p.in, pixel = index / p.in;
  const std::int64_t column = pixel % p.image.columns, above = pixel / p.image.columns;
  const std::int64_t row = above % p.image.rows, batch = above / p.image.rows;
  const std::int64_t first = channel / of.group_in() * of.group_out();
  const std::int64_t step = p.kernel.rows * p.kernel.columns * of.group_in();
  Output<T, tf32> output(p, of.x() + index);
  for (std::int64_t r = p.kernel.rows - 1; r >= 0; --r)
    for (std::int64_t c = p.kernel.columns - 1; c >= 0; --c)
      if (const T* y = of.output_at(batch, row, column, r, c))
        output.add(y + first, of.weight_at(first, r, c) + channel % of.group_in(), of.group_out(),
                   1, step);
  output.finish(p, channel);
}

template <class T, bool tf32>
LIKELY_DEVICE void weight(const ConvolutionGeometry<T>& of, std::int64_t index) {
  const ConvolutionProblem& p = of.p;
  const std::int64_t channel = index % of.group_in(), tap = index / of.group_in();
  const std::int64_t c = tap % p.kernel.columns, before = tap / p.kernel.columns;
  const std::int64_t r = before % p.kernel.rows, out = before / p.kernel.rows;
  const std::int64_t first = out / of.group_out() * of.group_in();
  Output<T, tf32> output(p, of.w() + index);
  const T* y = of.y() + out;
  for (std::int64_t batch = 0; batch < p.batch; ++batch)
    for (std::int64_t row = 0; row < p.output.rows; ++row)
      for (std::int64_t column = 0; column < p.output.columns; ++column, y += p.out)
        if (const T* x = of.image_at(batch, row, column, r, c))
          output.add(y, x + first + channel, 1, 0, 0);
  output.finish(p, 0);
}

constexpr int plain_threads = 128;

template <class T, bool tf32>
__global__ void __launch_bounds__(plain_threads) plain(ConvolutionProblem p, std::int64_t outputs) {
  const ConvolutionGeometry<T> of{p};
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < outputs; i += step) {
    if (p.direction == Direction::forward)
      forward<T, tf32>(of, i);
    else if (p.direction == Direction::data)
      data<T, tf32>(of, i);
    else
      weight<T, tf32>(of, i);
  }
}

template <class T>
const Variant plain_kernel = plain_convolution("plain", dtype_of<T>, Products::f32);
const Variant plain_tf32 = plain_convolution("plain tf32", DType::f32, Products::tf32);

template <class T, bool tf32 = false>
void launch_plain(const Variant& variant, const ConvolutionProblem& p) {
  const std::int64_t pixels = p.direction == Direction::forward ? p.output.rows * p.output.columns
                              : p.direction == Direction::data  ? p.image.rows * p.image.columns
                                                                : p.kernel.rows * p.kernel.columns;
  const std::int64_t outputs =
      pixels * (p.direction == Direction::forward ? p.batch * p.out
                : p.direction == Direction::data  ? p.batch * p.in
                                                  : p.out * p.in / p.groups);
  const std::int64_t blocks = quotient_up(outputs, plain_threads);
  const auto at_once = static_cast<unsigned>(std::min<std::int64_t>(blocks, 1 << 24));
  launch(variant, plain<T, tf32>, Grid{dim3(at_once), plain_threads}, p, outputs);
}

void fill_plain(const ConvolutionProblem& problem, void*) {
  if (problem.tf32)
    launch_plain<float, true>(plain_tf32, problem);
  else if (problem.dtype == DType::f32)
    launch_plain<float>(plain_kernel<float>, problem);
  else if (problem.dtype == DType::f64)
    launch_plain<double>(plain_kernel<double>, problem);
  else
    launch_plain<bf16>(plain_kernel<bf16>, problem);
}

// ---- What the tiled kernels need beside themselves

// The weights of one phase of a data gradient, as a product's right operand: [in, terms].
template <class T>
__global__ void __launch_bounds__(block_threads)
    phase_weights(ConvolutionProblem p, Gather gather, T* to) {
  const ConvolutionGeometry<T> of{p};
  const auto length = static_cast<unsigned>(gather.length());
  const auto out = static_cast<unsigned>(p.out), taps = static_cast<unsigned>(gather.columns.taps);
  const unsigned count = length * static_cast<unsigned>(p.in), step = gridDim.x * blockDim.x;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    const unsigned term = i % length, tap = term / out;
    const std::int64_t r = gather.rows.kernel + tap / taps * gather.rows.kernel_step;
    const std::int64_t c = gather.columns.kernel + tap % taps * gather.columns.kernel_step;
    to[i] = of.weight_at(term % out, r, c)[i / length];
  }
}

// w (+)= the shares' sums, one after the other.
template <class T>
__global__ void __launch_bounds__(block_threads)
    add_shares(T* w, const float* sums, unsigned count, int shares, bool add) {
  const unsigned step = gridDim.x * blockDim.x;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    float total = sums[i];
    for (int share = 1; share < shares; ++share)
      total = total + sums[share * static_cast<std::size_t>(count) + i];
    w[i] = T(add ? static_cast<float>(w[i]) + total : total);
  }
}

template <class T>
const Variant phases_kernel = phases_variant("phase weights", dtype_of<T>);
template <class T>
const Variant shares_kernel = shares_variant("add shares", dtype_of<T>);

Grid grid_for(std::int64_t count) {
  return {
      dim3(static_cast<unsigned>(std::min<std::int64_t>(quotient_up(count, block_threads), 4096))),
      block_threads};
}

// ---- The static rules

std::int64_t pixels_of(const ConvolutionProblem& p) {
  return p.batch * (p.direction == Direction::data ? p.image.rows * p.image.columns
                                                   : p.output.rows * p.output.columns);
}

// Whether the tiles' indices, of 32 bits, and their bits of taps suffice.
bool indices_fit(const ConvolutionProblem& p) {
  constexpr std::int64_t most = 1 << 30;
  const std::int64_t x = p.batch * p.image.rows * p.image.columns * p.in;
  const std::int64_t y = p.batch * p.output.rows * p.output.columns * p.out;
  return std::max({x, y, weight_count(p)}) <= most &&
         std::max(p.kernel.rows, p.kernel.columns) <= most_taps;
}

bool tiled(const ConvolutionProblem& p) {
  if (p.groups > 1 || p.dtype == DType::f64 || !indices_fit(p))
    return false;
  const std::int64_t taps = p.kernel.rows * p.kernel.columns;
  const bool data = p.direction == Direction::data, weight = p.direction == Direction::weight;
  const std::int64_t m = weight ? p.out : pixels_of(p);
  const std::int64_t n = weight ? taps * p.in : data ? p.in : p.out;
  const std::int64_t k = weight ? pixels_of(p) : taps * (data ? p.out : p.in);
  // Not where a tile would hold little else than zeros; in f32 either kernel gives the same bits.
  return p.dtype == DType::f32 && !p.tf32 ? m * n >= 1024 && k >= 4 : n >= 8 && k >= 16;
}

Tiling tiling_for(const ConvolutionProblem& p, const MatmulProblem& product) {
  const std::int64_t size = 16 / static_cast<std::int64_t>(size_of(p.dtype));
  const bool in = p.in % size == 0 && aligned16(p.x), out = p.out % size == 0 && aligned16(p.y);
  return {tile_for(product, {128, 64}), p.direction == Direction::forward ? in && aligned16(p.w)
                                        : p.direction == Direction::data  ? out
                                                                          : in && out};
}

// ---- The tiled kernels

template <class Product>
void run(const ConvolutionProblem& p, const Product& product) {
  const Tiling tiling = tiling_for(p, product);
  p.tf32                  ? convolution_tf32(product, tiling)
  : p.dtype == DType::f32 ? convolution_f32(product, tiling)
                          : convolution_bf16(product, tiling);
}

PixelsProblem pixels_problem(const ConvolutionProblem& p, const Gather& gather) {
  const bool data = p.direction == Direction::data;
  PixelsProblem product{};
  product.batch = 1;
  product.m = gather.pixels_of(p.batch);
  product.n = data ? p.in : p.out;
  product.k = gather.length();
  product.dtype = p.dtype;
  product.b = p.w;
  product.b_row = 1;
  product.b_column = gather.length();
  product.c = data ? p.x : p.y;
  product.c_row = product.n;
  product.add = p.add;
  product.biased = p.biased;
  product.bias = p.bias;
  product.activation = p.activation;
  product.slope = p.slope;
  product.gather = gather;
  product.height = data ? p.image.rows : p.output.rows;
  product.width = data ? p.image.columns : p.output.columns;
  return product;
}

template <class T>
void fill_data(const ConvolutionProblem& p, T* weights) {
  for (const Gather& gather : gathers_of(p, 0)) {
    const std::int64_t count = p.in * gather.length();
    if (count > 0)
      launch(phases_kernel<T>, phase_weights<T>, grid_for(count), p, gather, weights);
    PixelsProblem product = pixels_problem(p, gather);
    product.b = weights;
    run(p, product);
    weights += count;
  }
}

template <class T>
void fill_weights(const ConvolutionProblem& p, float* sums) {
  WeightsProblem product{};
  product.batch = shares_of(p);
  product.m = p.out;
  product.n = weight_count(p) / p.out;
  product.dtype = p.dtype;
  product.a = p.y;
  product.a_row = 1;
  product.a_column = p.out;
  product.c = sums;
  product.c_batch = weight_count(p);
  product.c_row = product.n;
  product.gather = gathers_of(p, 0)[0];
  product.pixels = pixels_of(p);
  product.share = quotient_up(product.pixels, product.batch);
  run(p, product);
  launch(shares_kernel<T>, add_shares<T>, grid_for(weight_count(p)), static_cast<T*>(p.w), sums,
         static_cast<unsigned>(weight_count(p)), static_cast<int>(product.batch), p.add);
}

void fill(const ConvolutionProblem& p, void* workspace) {
  if (!tiled(p))
    fill_plain(p, workspace);
  else if (p.direction == Direction::forward)
    run(p, pixels_problem(p, gathers_of(p, 0)[0]));
  else if (p.direction == Direction::data)
    p.dtype == DType::f32 ? fill_data(p, static_cast<float*>(workspace))
                          : fill_data(p, static_cast<bf16*>(workspace));
  else
    p.dtype == DType::f32 ? fill_weights<float>(p, static_cast<float*>(workspace))
                          : fill_weights<bf16>(p, static_cast<float*>(workspace));
}

std::size_t workspace(const ConvolutionProblem& p, int) {
  if (!tiled(p) || p.direction == Direction::forward)
    return 0;
  return static_cast<std::size_t>(weight_count(p)) *
         (p.direction == Direction::data ? size_of(p.dtype)
                                         : static_cast<std::size_t>(shares_of(p)) * sizeof(float));
}

bool serves(const ConvolutionProblem&) { return true; }
std::size_t no_workspace(const ConvolutionProblem&, int) { return 0; }

const Registered registered(convolution_family(), Device::cuda, Source::own,
                            ConvolutionBackend{"convolution own", serves, workspace, fill});
const Registered registered_plain(convolution_family(), Device::cuda, Source::own,
                                  ConvolutionBackend{"convolution plain", serves, no_workspace,
                                                     fill_plain});

}  // namespace
}  // namespace likely::kernels::cuda
