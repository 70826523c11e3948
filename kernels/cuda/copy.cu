// Copies and fills on CUDA: several adjacent elements a thread, transposed tiles by way of shared
// memory, and any other strides element by element.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kernels/convert.h"
#include "kernels/copy.h"
#include "kernels/cuda/elements.h"

namespace likely::kernels {
namespace {

struct CopyArguments {
  cuda::Layout<2> layout;  // of to and from
  void* to;
  const void* from;
};

// As many elements a thread as sixteen bytes hold of the wider type.
template <class To, class From>
constexpr int width_of = 16 / (sizeof(To) > sizeof(From) ? sizeof(To) : sizeof(From));

template <class To, class From, bool add, int width>
__global__ void __launch_bounds__(cuda::block_threads) copy_elements(CopyArguments a) {
  const std::int64_t begin = cuda::thread_number() * width, left = a.layout.count - begin;
  if (left <= 0)
    return;
  const int count = left < width ? static_cast<int>(left) : width, last = a.layout.rank - 1;
  const auto offsets = cuda::offsets_of<2>(a.layout, begin);
  From x[width];
  cuda::read(x, static_cast<const From*>(a.from) + offsets.of[1], a.layout.stride[1][last], count);
  To* to = static_cast<To*>(a.to) + offsets.of[0];
  To y[width];
  if constexpr (add)
    cuda::read(y, to, 1, count);
  LIKELY_UNROLL
  for (int j = 0; j < width; ++j)
    put<add>(y[j], x[j]);
  cuda::write(to, y, count);
}

constexpr int side = 32;  // of a square tile

// One column more than needed, so that a column of the tile lies in different banks.
template <class T>
struct TransposedTile {
  T value[side][side + 1];
};

// A plane of rows and columns, and the axes around it.
struct TransposeArguments {
  cuda::Layout<2> around;
  std::int64_t rows, columns;
  unsigned down, across;  // tiles of a plane
  std::int64_t to_row, to_column, from_row, from_column;
  void* to;
  const void* from;
};

// `from` is denser along the rows, `to` along the columns: each is walked along its own.
template <class To, class From, bool add>
__global__ void __launch_bounds__(cuda::block_threads) transpose_tile(TransposeArguments a) {
  auto& tile = cuda::shared<TransposedTile<From>>();
  const unsigned strip = blockIdx.x / a.across, plane = strip / a.down;
  const std::int64_t column = std::int64_t{blockIdx.x - strip * a.across} * side;
  const std::int64_t row = std::int64_t{strip - plane * a.down} * side;
  const auto offsets = cuda::offsets_of<2>(a.around, plane);
  const int lane = threadIdx.x % side, first = threadIdx.x / side, step = blockDim.x / side;

  const From* from = static_cast<const From*>(a.from) + offsets.of[1];
  for (int c = first; c < side; c += step)
    if (row + lane < a.rows && column + c < a.columns)
      tile.value[c][lane] = from[(row + lane) * a.from_row + (column + c) * a.from_column];
  __syncthreads();
  To* to = static_cast<To*>(a.to) + offsets.of[0];
  for (int r = first; r < side; r += step)
    if (row + r < a.rows && column + lane < a.columns)
      put<add>(to[(row + r) * a.to_row + (column + lane) * a.to_column], tile.value[lane][r]);
}

template <class T, int width>
__global__ void __launch_bounds__(cuda::block_threads) fill_elements(CopyArguments a, T value) {
  const std::int64_t begin = cuda::thread_number() * width, left = a.layout.count - begin;
  if (left <= 0)
    return;
  T all[width];
  LIKELY_UNROLL
  for (int j = 0; j < width; ++j)
    all[j] = value;
  cuda::write(static_cast<T*>(a.to) + cuda::offsets_of<1>(a.layout, begin).of[0], all,
              left < width ? static_cast<int>(left) : width);
}

// ---- Proofs: all results are exact.

// Whole and broken numbers in [-222, 222], then what saturates or is no number.
Tensor numbers(const Inputs& in, const Shape& shape) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    values.push_back(static_cast<double>(i * 7919 % 1201 - 600) * 0.37);
  const double ends[] = {1e30, -1e30, 4e9, -4e9, HUGE_VAL, -HUGE_VAL, std::nan(""), -0.0};
  std::copy_n(ends, std::min(std::size(ends), values.size()), values.end() - std::size(ends));
  return Tensor::of(shape, values, in.device());
}

// A view of x as every type, copied (added, where all is floating point) to a T each.
template <class T, bool add>
Tensors from_every_type(const Tensor& x, Tensor (*view)(const Tensor&)) {
  Tensors results;
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8}) {
    if (add && !is_floating(dtype))
      continue;
    const Tensor from = view(cast(x, dtype));
    const Tensor out = full(from.shape(), 1, dtype_of<T>, x.device());
    add ? add_into(out, from) : copy_into(out, from);
    results.push_back(out);
  }
  return results;
}
template <class T, bool add>
Proof copy_proof(const char* name, const Shape& shape, Tensor (*view)(const Tensor&)) {
  return {name, 0, [=](Inputs& in) { return from_every_type<T, add>(numbers(in, shape), view); }};
}

template <class T, bool add>
const Variant packed{"copy",
                     add ? "add, packed" : "packed",
                     dtype_of<T>,
                     copy_proof<T, add>("a ragged end", {1003}, [](const Tensor& x) { return x; }),
                     copy_proof<T, add>("part of every row", {9, 96},
                                        [](const Tensor& x) { return x.slice(1, 16, 64); }),
                     copy_proof<T, add>("one row for all", {32},
                                        [](const Tensor& x) {
                                          return x.expand({7, 32});
                                        }),
                     copy_proof<T, add>("one number for all", {16}, [](const Tensor& x) {
                       return x.slice(0, 0, 1).expand({1003});
                     })};

template <class T, bool add>
const Variant transposed{
    "copy", add ? "add, transposed" : "transposed", dtype_of<T>,
    copy_proof<T, add>("a matrix", {67, 41}, [](const Tensor& x) { return x.transpose(); }),
    copy_proof<T, add>("channels to the front", {2, 3, 17, 33}, [](const Tensor& x) {
      return x.permute({0, 3, 1, 2});
    })};

template <class T, bool add>
const Variant strided{
    "copy",
    add ? "add, strided" : "strided",
    dtype_of<T>,
    copy_proof<T, add>("one element behind", {260},
                       [](const Tensor& x) { return x.slice(0, 1, 260); }),
    copy_proof<T, add>("every third", {5, 100},
                       [](const Tensor& x) { return x.slice(1, 1, 100, 3); }),
    copy_proof<T, add>("three colours to the front", {2, 5, 7, 3}, [](const Tensor& x) {
      return x.permute({0, 3, 1, 2});
    })};

template <class T>
Proof fill_proof(const char* name, const Shape& shape, Tensor (*view)(const Tensor&)) {
  return {name, 0, [=](Inputs& in) {
            Tensors results;
            for (const double value : {0.0, 2.6, -1e30, std::nan("")}) {
              results.push_back(full(shape, 1, dtype_of<T>, in.device()));
              fill(view(results.back()), value);
            }
            return results;
          }};
}
template <class T>
const Variant fill_packed{"copy", "fill, packed", dtype_of<T>,
                          fill_proof<T>("a ragged end", {1003}, [](const Tensor& x) { return x; }),
                          fill_proof<T>("part of every row", {9, 96},
                                        [](const Tensor& x) { return x.slice(1, 16, 64); })};
template <class T>
const Variant fill_strided{
    "copy", "fill, strided", dtype_of<T>,
    fill_proof<T>("one element behind", {260}, [](const Tensor& x) { return x.slice(0, 1, 260); }),
    fill_proof<T>("every third", {5, 100}, [](const Tensor& x) { return x.slice(1, 1, 100, 3); })};

// ---- Launches

// The axis along which the source is densest, where that is not the last and both are long enough
// to pay for the tile; or -1.
int rows_of(const CopyProblem& problem) {
  constexpr std::int64_t least = 16;
  const int last = problem.shape.rank() - 1;
  const auto stride = [&](int axis) { return std::abs(problem.from_strides[axis]); };
  int found = -1;
  for (int axis = 0; axis < last; ++axis)
    if (stride(axis) > 0 && stride(axis) < stride(found < 0 ? last : found))
      found = axis;
  return found >= 0 && problem.shape[found] >= least && problem.shape[last] >= least ? found : -1;
}

template <class To, class From, bool add>
void transpose(const CopyProblem& problem, int row) {
  const int column = problem.shape.rank() - 1;
  const auto around = [&](const Shape& list) { return list.without(column).without(row); };
  TransposeArguments a{cuda::Layout<2>(around(problem.shape)),
                       problem.shape[row],
                       problem.shape[column],
                       0,
                       0,
                       problem.to_strides[row],
                       problem.to_strides[column],
                       problem.from_strides[row],
                       problem.from_strides[column],
                       problem.to,
                       problem.from};
  a.around.set(0, around(problem.to_strides));
  a.around.set(1, around(problem.from_strides));
  a.down = static_cast<unsigned>(cuda::quotient_up(a.rows, side));
  a.across = static_cast<unsigned>(cuda::quotient_up(a.columns, side));
  const auto blocks = static_cast<unsigned>(a.around.count * a.down * a.across);
  cuda::launch(transposed<To, add>, transpose_tile<To, From, add>,
               {dim3(blocks), cuda::block_threads, sizeof(TransposedTile<From>)}, a);
}

CopyArguments arguments_of(const CopyProblem& problem) {
  CopyArguments a{cuda::Layout<2>(problem.shape), problem.to, problem.from};
  a.layout.set(0, problem.to_strides);
  a.layout.set(1, problem.from_strides);
  return a;
}

template <class To, class From, bool add>
void copy_typed(const CopyProblem& problem) {
  if (const int row = rows_of(problem); row >= 0 && transposed<To, add>.usable())
    return transpose<To, From, add>(problem, row);
  constexpr int width = width_of<To, From>;
  const CopyArguments a = arguments_of(problem);
  if (packed<To, add>.usable() && a.layout.packs(0, a.to, sizeof(To), width) &&
      a.layout.packs(1, a.from, sizeof(From), width))
    return cuda::launch(packed<To, add>, copy_elements<To, From, add, width>,
                        cuda::threads_for(cuda::quotient_up(a.layout.count, width)), a);
  cuda::launch(strided<To, add>, copy_elements<To, From, add, 1>, cuda::threads_for(a.layout.count),
               a);
}

void copy(const CopyProblem& problem) {
  with_type(problem.to_dtype, [&]<class To>(Type<To>) {
    with_type(problem.from_dtype, [&]<class From>(Type<From>) {
      if constexpr (is_floating(dtype_of<To>) && is_floating(dtype_of<From>))
        if (problem.add)
          return copy_typed<To, From, true>(problem);
      copy_typed<To, From, false>(problem);
    });
  });
}

void fill(const CopyProblem& problem, double value) {
  with_type(problem.to_dtype, [&]<class T>(Type<T>) {
    constexpr int width = 16 / sizeof(T);
    const T element = convert<T>(value);
    const CopyArguments a = arguments_of(problem);
    if (fill_packed<T>.usable() && a.layout.packs(0, a.to, sizeof(T), width))
      cuda::launch(fill_packed<T>, fill_elements<T, width>,
                   cuda::threads_for(cuda::quotient_up(a.layout.count, width)), a, element);
    else
      cuda::launch(fill_strided<T>, fill_elements<T, 1>, cuda::threads_for(a.layout.count), a,
                   element);
  });
}

const Registered<CopyBackend> registered(copy_family(), Device::cuda, Source::own,
                                         {"copy", copy, fill});

}  // namespace
}  // namespace likely::kernels
