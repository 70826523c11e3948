// Gathers and their adjoints on CUDA, without atomics: a thread owns what it writes, and sums in
// ascending order of the index.
#include "kernels/copy.h"
#include "kernels/cuda/elements.h"
#include "kernels/gather.h"

namespace likely::kernels {
namespace {

struct GatherArguments {
  std::int64_t rows, count, width;  // as in GatherProblem
  const void* from;
  const std::int64_t* index;
  void* to;
};

// Stands for what an index out of range would have read (kernels/gather.cpp says who finds it).
template <class T>
LIKELY_DEVICE T nothing() {
  if constexpr (std::is_integral_v<T>)
    return T();
  else
    return T(__builtin_nanf(""));
}

// `width` of T, a divisor of a row, or 1.
template <class T, int width>
__global__ void __launch_bounds__(cuda::block_threads) take_elements(GatherArguments a) {
  const std::int64_t at = cuda::thread_number() * width;
  if (at >= a.count * a.width)
    return;
  const auto row = static_cast<std::int64_t>(static_cast<std::uint64_t>(at) /
                                             static_cast<std::uint64_t>(a.width));
  const std::int64_t column = at - row * a.width;
  const std::int64_t from = a.index[row];
  T pack[width];
  if (from >= 0 && from < a.rows) {
    cuda::read(pack, static_cast<const T*>(a.from) + from * a.width + column, 1, width);
  } else {
    LIKELY_UNROLL
    for (int k = 0; k < width; ++k)
      pack[k] = nothing<T>();
  }
  cuda::write(static_cast<T*>(a.to) + at, pack, width);
}

template <class T>
__global__ void __launch_bounds__(cuda::block_threads) pick_elements(GatherArguments a) {
  const std::int64_t at = cuda::thread_number();
  if (at >= a.count)
    return;
  const std::int64_t column = a.index[at];
  static_cast<T*>(a.to)[at] = column >= 0 && column < a.width
                                  ? static_cast<const T*>(a.from)[at * a.width + column]
                                  : nothing<T>();
}

template <class T>
__global__ void __launch_bounds__(cuda::block_threads) place_elements(GatherArguments a) {
  const std::int64_t at = cuda::thread_number();
  if (at >= a.count * a.width)
    return;
  const auto row = static_cast<std::int64_t>(static_cast<std::uint64_t>(at) /
                                             static_cast<std::uint64_t>(a.width));
  const std::int64_t column = a.index[row];
  const bool within = column >= 0 && column < a.width, there = column == at - row * a.width;
  static_cast<T*>(a.to)[at] = !within ? nothing<T>()
                              : there ? static_cast<const T*>(a.from)[row]
                                      : T();
}

constexpr int columns_of_a_lane = 4, warps = 4, scatter_threads = warps * cuda::warp_size;

// A warp owns one row of the result and 128 of its columns. It looks through the whole index, 32
// at a time, for the rows that are added to its own, and for any that are none.
template <class T>
__global__ void __launch_bounds__(scatter_threads) scatter_rows(GatherArguments a) {
  constexpr int columns = columns_of_a_lane * cuda::warp_size;
  const auto across = static_cast<unsigned>(cuda::quotient_up(a.width, columns));
  const unsigned group = blockIdx.x / across;
  const int lane = threadIdx.x % cuda::warp_size;
  const std::int64_t row = std::int64_t{group} * warps + threadIdx.x / cuda::warp_size;
  const std::int64_t column = std::int64_t{blockIdx.x - group * across} * columns + lane;
  if (row >= a.rows)
    return;  // the whole warp
  T sum[columns_of_a_lane]{};
  bool outside = false;
  for (std::int64_t begin = 0; begin < a.count; begin += cuda::warp_size) {
    const std::int64_t at = begin + lane < a.count ? a.index[begin + lane] : 0;
    outside |= at < 0 || at >= a.rows;
    const bool mine = begin + lane < a.count && at == row;
    unsigned found = __ballot_sync(cuda::all_lanes, mine);
    while (found) {
      const int first = cuda::first_lane(found);
      found &= found - 1;
      const T* g = static_cast<const T*>(a.from) + (begin + first) * a.width + column;
      LIKELY_UNROLL
      for (int j = 0; j < columns_of_a_lane; ++j)
        if (column + j * cuda::warp_size < a.width)
          sum[j] += g[j * cuda::warp_size];
    }
  }
  outside = __any_sync(cuda::all_lanes, outside);
  T* to = static_cast<T*>(a.to) + row * a.width + column;
  LIKELY_UNROLL
  for (int j = 0; j < columns_of_a_lane; ++j)
    if (column + j * cuda::warp_size < a.width)
      to[j * cuda::warp_size] = outside ? nothing<T>() : sum[j];
}

// ---- Proofs: all results are exact.

// f(x as T, index) for an index of `count` below `rows`.
template <class T, class F>
Proof gather_proof(const char* name, const Shape& shape, std::int64_t count, std::int64_t below,
                   F f) {
  return {name, 0, [=](Inputs& in) {
            const Tensor x = cast(in.normal(shape), dtype_of<T>);
            return Tensors{f(x, in.integers({count}, below))};
          }};
}

template <class T>
const Variant take_packed{
    "gather", "take, packed", dtype_of<T>,
    gather_proof<T>("rows of 64", {11, 64}, 29, 11,
                    [](const Tensor& x, const Tensor& index) { return take(x, index); })};
template <class T>
const Variant take_elementwise{
    "gather", "take", dtype_of<T>,
    gather_proof<T>("rows of an odd length", {11, 37}, 29, 11,
                    [](const Tensor& x, const Tensor& index) { return take(x, index); }),
    gather_proof<T>("one element behind", {11 * 64 + 1}, 29, 11,
                    [](const Tensor& x, const Tensor& index) {
                      return take(x.slice(0, 1, 11 * 64 + 1).reshape({11, 64}), index);
                    })};
template <class T>
const Variant picked{
    "gather", "pick", dtype_of<T>,
    gather_proof<T>("ten classes", {300, 10}, 300, 10,
                    [](const Tensor& x, const Tensor& index) { return pick(x, index); })};
template <class T>
const Variant placed{
    "gather", "place", dtype_of<T>,
    gather_proof<T>("ten classes", {300}, 300, 10,
                    [](const Tensor& x, const Tensor& index) { return place(x, index, 10); })};
template <class T>
const Variant scattered{
    "gather", "scatter_add", dtype_of<T>,
    gather_proof<T>("many into few", {517, 37}, 517, 7,
                    [](const Tensor& x, const Tensor& index) { return scatter_add(x, index, 9); }),
    gather_proof<T>("few into many", {5, 200}, 5, 70, [](const Tensor& x, const Tensor& index) {
      return scatter_add(x, index, 70);
    })};

// ---- Launches

GatherArguments arguments_of(const GatherProblem& problem) {
  return {problem.rows, problem.count, problem.width, problem.from, problem.index, problem.to};
}

void take_rows(const GatherProblem& problem) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    constexpr int width = 16 / sizeof(T);
    const std::int64_t n = problem.count * problem.width;
    if (take_packed<T>.usable() && problem.width % width == 0 && cuda::aligned16(problem.from) &&
        cuda::aligned16(problem.to))
      cuda::launch(take_packed<T>, take_elements<T, width>, cuda::threads_for(n / width),
                   arguments_of(problem));
    else
      cuda::launch(take_elementwise<T>, take_elements<T, 1>, cuda::threads_for(n),
                   arguments_of(problem));
  });
}

void pick_each(const GatherProblem& problem) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    cuda::launch(picked<T>, pick_elements<T>, cuda::threads_for(problem.count),
                 arguments_of(problem));
  });
}

void place_each(const GatherProblem& problem) {
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    cuda::launch(placed<T>, place_elements<T>, cuda::threads_for(problem.count * problem.width),
                 arguments_of(problem));
  });
}

template <class T>
void scatter_typed(const GatherProblem& problem) {
  constexpr std::int64_t columns = columns_of_a_lane * cuda::warp_size;
  const std::int64_t across = cuda::quotient_up(problem.width, columns);
  const auto blocks = static_cast<unsigned>(across * cuda::quotient_up(problem.rows, warps));
  cuda::launch(scattered<T>, scatter_rows<T>, {dim3(blocks), scatter_threads},
               arguments_of(problem));
}
void scatter(const GatherProblem& problem) {
  problem.dtype == DType::f32 ? scatter_typed<float>(problem) : scatter_typed<double>(problem);
}

const Registered<GatherBackend> registered(gather_family(), Device::cuda, Source::own,
                                           {"gather", take_rows, scatter, pick_each, place_each});

}  // namespace
}  // namespace likely::kernels
