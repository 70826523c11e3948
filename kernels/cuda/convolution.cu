// Convolutions on a GPU: the rules by which kernels serve, and what they need beside themselves.
#include <algorithm>
#include <bit>

#include "kernels/convert.h"
#include "kernels/convolution_geometry.h"
#include "kernels/convolution_parts.h"
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"

namespace likely::kernels::cuda {
namespace {

// ---- What the tiled kernels need beside themselves

// The weights of each phase of a data gradient, as a product's right operand: [in, terms].
template <class T>
__global__ void __launch_bounds__(block_threads)
    phase_weights(ConvolutionProblem p, PixelsProblem product) {
  const ConvolutionGeometry<T> of{p};
  const Gather& gather = phase_of(product).gather;
  T* const to = static_cast<T*>(const_cast<void*>(phase_of(product).weights));
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

// w (+)= the shares' sums. `deep` threads (a power of two) take every deep-th share of an element,
// one after the other, and the first of them what they give.
template <class T>
__global__ void __launch_bounds__(block_threads)
    add_shares(T* w, const float* sums, unsigned count, unsigned shares, unsigned deep, bool add) {
  auto& totals = shared<float[block_threads]>();
  const unsigned wide = block_threads / deep;
  const unsigned i = blockIdx.x * wide + threadIdx.x % wide, first = threadIdx.x / wide;
  float total = 0;
  for (unsigned share = first; i < count && share < shares; share += deep)
    total = total + sums[share * static_cast<std::size_t>(count) + i];
  totals[threadIdx.x] = total;
  __syncthreads();
  if (i >= count || first > 0)
    return;
  for (unsigned other = 1; other < deep; ++other)
    total = total + totals[other * wide + threadIdx.x];
  w[i] = T(add ? static_cast<float>(w[i]) + total : total);
}

template <class T>
const Variant phases_kernel = phases_variant("phase weights", dtype_of<T>);
template <class T>
const Variant shares_kernel = shares_variant("add shares", dtype_of<T>);

Grid grid_for(std::int64_t count, std::int64_t deep = 1) {
  const std::int64_t blocks = std::min<std::int64_t>(quotient_up(count, block_threads), 4096);
  return {dim3(static_cast<unsigned>(blocks), 1, static_cast<unsigned>(deep)), block_threads};
}

// ---- The static rules

std::int64_t pixels_of(const ConvolutionProblem& p) {
  return p.batch * (p.direction == Direction::data ? p.image.rows * p.image.columns
                                                   : p.output.rows * p.output.columns);
}

constexpr std::int64_t pixels_of_share = 128;  // of a weight gradient, at least

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
  if (weight ? m * n > 0 && k >= 2 * pixels_of_share : narrow_serves(n, k))
    return true;  // however few the outputs
  // Few products a tile are still faster than a thread an output (on an H200 6.4 million outputs of
  // three terms took 155 µs there). In f32 either gives the same bits; elsewhere the number of
  // pixels must not decide.
  return k > 0 && (p.dtype == DType::f32 && !p.tf32 ? m * n >= 1024 : n >= 8);
}

// A convolution whose kernel has one place on the image is a product of matrices.
bool is_product(const ConvolutionProblem& p) {
  return p.groups == 1 && p.image == p.kernel && p.output == Pixels(1) && p.top == 0 &&
         p.left == 0 && p.dilation == Pixels(1) && !(p.direction == Direction::data && p.biased);
}

// Shares of the pixels, so many that all of a GPU is busy.
std::int64_t weight_shares(const ConvolutionProblem& p) {
  constexpr std::int64_t blocks = 256, floats_at_most = 1 << 23;
  const std::int64_t m = p.out, n = weight_count(p) / p.out;
  const std::int64_t side = std::min(m, n) > 64 ? 128 : 64;
  return std::clamp<std::int64_t>(
      std::min({blocks / (quotient_up(m, side) * quotient_up(n, side)),
                pixels_of(p) / pixels_of_share, floats_at_most / weight_count(p)}),
      1, blocks);
}

Tiling tiling_for(const ConvolutionProblem& p, const MatmulProblem& product) {
  const std::int64_t size = 16 / static_cast<std::int64_t>(size_of(p.dtype));
  const bool in = p.in % size == 0 && aligned16(p.x), out = p.out % size == 0 && aligned16(p.y);
  if (p.direction == Direction::weight)
    return {tile_for(product, {128, 64}), in && out};
  const bool packs = p.direction == Direction::forward ? in && aligned16(p.w) : out;
  const bool small = packs && p.dtype == DType::f32;
  return {small ? tile_for(product, {128, 64, 32}) : tile_for(product, {128, 64}), packs};
}

// ---- The tiled kernels. What fills by them does nothing, and returns false, where one that it
// needs is not usable.

template <class Product>
bool run(const ConvolutionProblem& p, const Product& product) {
  const Tiling tiling = tiling_for(p, product);
  if constexpr (std::is_same_v<Product, PixelsProblem>)
    if (narrow_serves(product.n, product.k) && convolution_narrow(product, p.tf32, tiling.packs))
      return true;
  return p.tf32                  ? convolution_tf32(product, tiling)
         : p.dtype == DType::f32 ? convolution_f32(product, tiling)
                                 : convolution_bf16(product, tiling);
}

// A product of the same type, with the same epilogue, whose operands and sizes are still open.
MatmulProblem ending_of(const ConvolutionProblem& p) {
  MatmulProblem product{};
  product.dtype = p.dtype;
  product.tf32 = p.tf32;
  product.add = p.add;
  product.biased = p.biased;
  product.bias = p.bias;
  product.activation = p.activation;
  product.slope = p.slope;
  return product;
}

// Without its phases.
PixelsProblem pixels_problem(const ConvolutionProblem& p) {
  const bool data = p.direction == Direction::data;
  PixelsProblem product{ending_of(p), {}, 0, 0};
  product.n = data ? p.in : p.out;
  product.c = data ? p.x : p.y;
  product.c_row = product.n;
  product.height = data ? p.image.rows : p.output.rows;
  product.width = data ? p.image.columns : p.output.columns;
  return product;
}

void add_phase(const ConvolutionProblem& p, PixelsProblem& product, const Gather& gather,
               const void* weights) {
  const std::int64_t pixels = gather.pixels_of(p.batch);
  product.phases[product.batch++] = {gather, pixels, weights};
  product.m = std::max(product.m, pixels);
  product.k = std::max(product.k, gather.length());
}

bool fill_forward(const ConvolutionProblem& p) {
  PixelsProblem product = pixels_problem(p);
  add_phase(p, product, gathers_of(p, 0)[0], p.w);
  return run(p, product);
}

template <class T>
bool fill_data(const ConvolutionProblem& p, T* weights) {
  if (!phases_kernel<T>.usable())
    return false;
  const std::vector<Gather> gathers = gathers_of(p, 0);
  bool begun = false;
  for (auto gather = gathers.begin(); gather != gathers.end();) {
    PixelsProblem product = pixels_problem(p);
    for (; gather != gathers.end() && product.batch < PixelsProblem::most_phases; ++gather) {
      add_phase(p, product, *gather, weights);
      weights += p.in * gather->length();
    }
    if (product.k > 0)
      launch(phases_kernel<T>, phase_weights<T>, grid_for(p.in * product.k, product.batch), p,
             product);
    if (!run(p, product)) {
      require<Unproven>(!begun,
                        "convolution: no kernel for all phases of this data gradient passed its "
                        "proofs. Compute with --device cpu.");
      return false;
    }
    begun = true;
  }
  return true;
}

template <class T>
bool fill_weights(const ConvolutionProblem& p, float* sums) {
  WeightsProblem product{};
  product.batch = weight_shares(p);
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
  if (!shares_kernel<T>.usable() || !run(p, product))
    return false;
  const auto shares = static_cast<unsigned>(product.batch);
  const unsigned deep = std::min(std::bit_ceil(shares), 16u);
  const std::int64_t wide = block_threads / deep;
  launch(shares_kernel<T>, add_shares<T>,
         Grid{dim3(static_cast<unsigned>(quotient_up(weight_count(p), wide))), block_threads,
              sizeof(float[block_threads])},
         static_cast<T*>(p.w), sums, static_cast<unsigned>(weight_count(p)), shares, deep, p.add);
  return true;
}

MatmulProblem product_of(const ConvolutionProblem& p) {
  const std::int64_t taps = p.kernel.rows * p.kernel.columns * p.in;
  MatmulProblem product = ending_of(p);
  product.batch = 1;
  const auto left = [&](const void* a, std::int64_t m, std::int64_t row, std::int64_t column) {
    product.a = a;
    product.m = m;
    product.a_row = row;
    product.a_column = column;
  };
  const auto right = [&](const void* b, std::int64_t n, std::int64_t row, std::int64_t column) {
    product.b = b;
    product.n = product.c_row = n;
    product.b_row = row;
    product.b_column = column;
  };
  if (p.direction == Direction::forward) {
    left(p.x, p.batch, taps, 1);
    right(p.w, p.out, 1, taps);
    product.k = taps;
    product.c = p.y;
  } else if (p.direction == Direction::data) {
    left(p.y, p.batch, p.out, 1);
    right(p.w, taps, taps, 1);
    product.k = p.out;
    product.c = p.x;
  } else {
    left(p.y, p.out, 1, p.out);
    right(p.x, taps, taps, 1);
    product.k = p.batch;
    product.c = p.w;
  }
  return product;
}

bool fill_tiled(const ConvolutionProblem& p, void* workspace) {
  if (p.direction == Direction::forward)
    return fill_forward(p);
  if (p.direction == Direction::data)
    return p.dtype == DType::f32 ? fill_data(p, static_cast<float*>(workspace))
                                 : fill_data(p, static_cast<bf16*>(workspace));
  return p.dtype == DType::f32 ? fill_weights<float>(p, static_cast<float*>(workspace))
                               : fill_weights<bf16>(p, static_cast<float*>(workspace));
}

void fill(const ConvolutionProblem& p, void* workspace) {
  if (is_product(p))
    matmul_own(product_of(p));
  else if (!tiled(p) || !fill_tiled(p, workspace))
    convolution_plain(p);
}

std::size_t workspace(const ConvolutionProblem& p, int) {
  if (is_product(p) || !tiled(p) || p.direction == Direction::forward)
    return 0;
  return static_cast<std::size_t>(weight_count(p)) *
         (p.direction == Direction::data
              ? size_of(p.dtype)
              : static_cast<std::size_t>(weight_shares(p)) * sizeof(float));
}

// The product of a transposed `a` and `b` as a gradient of weights: lines of k are pixels.
ConvolutionProblem convolution_of(const MatmulProblem& product) {
  ConvolutionProblem p{};
  p.direction = Direction::weight;
  p.dtype = product.dtype;
  p.tf32 = product.tf32;
  p.batch = p.groups = 1;
  p.in = product.n;
  p.out = product.m;
  p.image = p.output = {product.k, 1};
  p.kernel = p.stride = p.dilation = 1;
  p.x = const_cast<void*>(product.b);
  p.w = product.c;
  p.y = const_cast<void*>(product.a);
  p.add = product.add;
  return p;
}

bool serves(const ConvolutionProblem&) { return true; }
std::size_t no_workspace(const ConvolutionProblem&, int) { return 0; }
void fill_plain(const ConvolutionProblem& p, void*) { convolution_plain(p); }

const Registered registered(convolution_family(), Device::cuda, Source::own,
                            ConvolutionBackend{"convolution own", serves, workspace, fill});
const Registered registered_plain(convolution_family(), Device::cuda, Source::own,
                                  ConvolutionBackend{"convolution plain", serves, no_workspace,
                                                     fill_plain});

}  // namespace

bool weights_serve(const MatmulProblem& p) {
  constexpr std::int64_t long_sum = 2048, few_tiles = 32;
  return p.batch == 1 && p.k >= long_sum &&
         quotient_up(p.m, 64) * quotient_up(p.n, 64) <= few_tiles && p.a_row == 1 &&
         p.a_column == p.m && p.b_row == p.n && p.b_column == 1 && p.c_row == p.n && !p.biased &&
         p.activation == Activation::none && tiled(convolution_of(p));
}
std::size_t weights_workspace(const MatmulProblem& p) { return workspace(convolution_of(p), 1); }
void matmul_weights(const MatmulProblem& p, void* sums) { fill(convolution_of(p), sums); }

}  // namespace likely::kernels::cuda
