// Attention on CUDA: a block has a tile of rows of one head, queries or (for their gradients) keys,
// and walks over tiles of the other rows, whose scores never leave the block. Gradients of queries
// and of keys are sums over the others, each in one block in a fixed order; so scores are computed
// once more, and nothing is added atomically.
#include "kernels/attention.h"
#include "kernels/convert.h"
#include "kernels/cuda/attention_proofs.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lanes.h"
#include "kernels/cuda/launch.h"
#include "kernels/math.h"

namespace likely::kernels::cuda {
namespace {

// The 256 threads as 16 x 16: thread (y, x) has the own rows y + 16 i, of the other rows and of
// packs of channels x + 16 j.
constexpr int side = 16;
LIKELY_DEVICE int own_row(int i) { return static_cast<int>(threadIdx.x) / side + side * i; }
LIKELY_DEVICE int other_row(int j) { return static_cast<int>(threadIdx.x) % side + side * j; }

// Rows of up to `most_channels` channels in shared memory, of what sums are made of. A pack more a
// row, so that rows one after the other begin in different banks.
template <class A, int most_channels>
struct Tile {
  static constexpr int size = Pack<A>::size, channels = most_channels;
  static constexpr int own = (channels > 64 ? 128 : 256) / static_cast<int>(sizeof(A));
  static constexpr int other = channels > 64 ? 16 : own;
  static constexpr int own_rows = own / side, other_rows = other / side;  // of a thread
  static constexpr int packs = channels / size / side;
  using Scores = A[own_rows][other_rows];
  using Sums = A[own_rows][packs][size];
  using Row = A[channels + size];

  struct Memory {
    Row others[other];
    A weights[own][other + size];
    Row first[own];
  };
  struct TwoOwn : Memory {
    Row second[own];
  };
};

template <class T>
struct Typed {
  using A = Computed<T>;
  std::int64_t queries, keys, heads, channels;
  bool causal, aligned;
  A scale;
  const T *q, *k, *v, *g;
  T* out;
  A *log_sum, *dots;  // dots: of g and out, a query
  T *dq, *dk, *dv;

  Typed(const AttentionProblem& p, void* workspace)
      : queries(p.queries),
        keys(p.keys),
        heads(p.heads),
        channels(p.channels),
        causal(p.causal),
        aligned(aligned16(p.q) && aligned16(p.k) && aligned16(p.v) && aligned16(p.g) &&
                p.channels % Pack<T>::size == 0),
        scale(static_cast<A>(p.scale)),
        q(static_cast<const T*>(p.q)),
        k(static_cast<const T*>(p.k)),
        v(static_cast<const T*>(p.v)),
        g(static_cast<const T*>(p.g)),
        out(static_cast<T*>(p.out)),
        log_sum(static_cast<A*>(p.log_sum)),
        dots(static_cast<A*>(workspace)),
        dq(static_cast<T*>(p.dq)),
        dk(static_cast<T*>(p.dk)),
        dv(static_cast<T*>(p.dv)) {}

  // Where row `row` of a head's queries or keys begins.
  LIKELY_DEVICE std::int64_t element(std::int64_t head, std::int64_t rows, std::int64_t row) const {
    return ((head / heads * rows + row) * heads + head % heads) * channels;
  }
  LIKELY_DEVICE std::int64_t seen_by(std::int64_t query) const {
    const std::int64_t seen = causal ? keys - queries + query + 1 : keys;
    return seen < keys ? seen : keys;
  }
};

// Which tile of which head a block has.
struct Corner {
  std::int64_t head, first;
  LIKELY_DEVICE Corner(std::int64_t rows, int tile)
      : head(blockIdx.x / quotient_up(rows, tile)),
        first(blockIdx.x % quotient_up(rows, tile) * tile) {}
};

// Rows of a head from `first` on, of `rows` that it has; zeros beyond them and their channels.
template <class T, class Row, int count>
LIKELY_DEVICE_SHARED void load(Row (&to)[count], const Typed<T>& of, const T* from,
                               std::int64_t head, std::int64_t rows, std::int64_t first) {
  constexpr int size = Pack<T>::size;
  constexpr int packs = sizeof(Row) / sizeof(to[0][0]) / size;  // the row's last pack is not filled
  for (int i = static_cast<int>(threadIdx.x); i < count * packs; i += block_threads) {
    const int row = i / packs, column = i % packs * size;
    const std::int64_t left = first + row < rows ? of.channels - column : 0;
    const Pack<T> pack =
        load_some(from + of.element(head, rows, first + row) + column, left, of.aligned);
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      to[row][column + k] = static_cast<Computed<T>>(pack.value[k]);
  }
}

// The products of a thread's own rows and its other ones.
template <class S, class Row, int own, int other>
LIKELY_DEVICE_SHARED void multiply(typename S::Scores& sum, const Row (&a)[own],
                                   const Row (&b)[other], std::int64_t channels) {
  using P = std::remove_const_t<std::remove_reference_t<decltype(load16(a[0]))>>;
  LIKELY_UNROLL
  for (int i = 0; i < S::own_rows; ++i) {
    LIKELY_UNROLL
    for (int j = 0; j < S::other_rows; ++j)
      sum[i][j] = 0;
  }
  for (int c = 0; c < channels; c += S::size) {
    P left[S::own_rows], right[S::other_rows];
    LIKELY_UNROLL
    for (int i = 0; i < S::own_rows; ++i)
      left[i] = load16(&a[own_row(i)][c]);
    LIKELY_UNROLL
    for (int j = 0; j < S::other_rows; ++j)
      right[j] = load16(&b[other_row(j)][c]);
    LIKELY_UNROLL
    for (int i = 0; i < S::own_rows; ++i) {
      LIKELY_UNROLL
      for (int j = 0; j < S::other_rows; ++j) {
        LIKELY_UNROLL
        for (int k = 0; k < S::size; ++k)
          sum[i][j] = multiply_add(left[i].value[k], right[j].value[k], sum[i][j]);
      }
    }
  }
}

// Adds the other rows by their weights. What is not there weighs nothing, and is 0.
template <class S>
LIKELY_DEVICE_SHARED void add_weighted(typename S::Sums& sum, const typename S::Memory& memory,
                                       std::int64_t channels) {
  using P = Pack<std::remove_reference_t<decltype(sum[0][0][0])>>;
  for (int row = 0; row < S::other; row += S::size) {
    P weight[S::own_rows];
    LIKELY_UNROLL
    for (int i = 0; i < S::own_rows; ++i)
      weight[i] = load16(&memory.weights[own_row(i)][row]);
    LIKELY_UNROLL
    for (int r = 0; r < S::size; ++r) {
      LIKELY_UNROLL
      for (int c = 0; c < S::packs; ++c) {
        if (c * side * S::size >= channels)
          continue;
        const P other = load16(&memory.others[row + r][other_row(c) * S::size]);
        LIKELY_UNROLL
        for (int i = 0; i < S::own_rows; ++i) {
          LIKELY_UNROLL
          for (int k = 0; k < S::size; ++k)
            sum[i][c][k] = multiply_add(weight[i].value[r], other.value[k], sum[i][c][k]);
        }
      }
    }
  }
}

template <class S>
LIKELY_DEVICE void clear(typename S::Sums& sum) {
  LIKELY_UNROLL
  for (int i = 0; i < S::own_rows; ++i) {
    LIKELY_UNROLL
    for (int c = 0; c < S::packs * S::size; ++c)
      sum[i][c / S::size][c % S::size] = 0;
  }
}

// A thread's sums of own row i, divided.
template <class S, class T>
LIKELY_DEVICE_SHARED void store(T* to, const typename S::Sums& sum, int i, Computed<T> divisor,
                                std::int64_t channels) {
  LIKELY_UNROLL
  for (int c = 0; c < S::packs; ++c) {
    LIKELY_UNROLL
    for (int k = 0; k < S::size; ++k)
      if (const int channel = other_row(c) * S::size + k; channel < channels)
        to[channel] = T(sum[i][c][k] / divisor);
  }
}

// Joins what the 16 threads of an own row have.
template <class Op, class A>
LIKELY_DEVICE A joined(A x) {
  for (int bit = 1; bit < side; bit *= 2)
    x = Op::join(x, across(x, bit));
  return x;
}

// Blocks on a multiprocessor that shared memory leaves room for, so many that nothing spills.
template <class T>
constexpr int together = sizeof(Computed<T>) == 8 ? 1 : 2;

template <class T, int most_channels>
__global__ void __launch_bounds__(block_threads, together<T>) values(Typed<T> of) {
  using A = Computed<T>;
  using S = Tile<A, most_channels>;
  auto& memory = shared<typename S::Memory>();
  const Corner corner(of.queries, S::own);
  A largest[S::own_rows], sum[S::own_rows];
  typename S::Sums out;
  clear<S>(out);
  LIKELY_UNROLL
  for (int i = 0; i < S::own_rows; ++i) {
    largest[i] = Max<A>::start();
    sum[i] = 0;
  }
  load(memory.first, of, of.q, corner.head, of.queries, corner.first);
  const std::int64_t seen = of.seen_by(corner.first + S::own - 1);
  for (std::int64_t key = 0; key < seen; key += S::other) {
    __syncthreads();  // the values before are read
    load(memory.others, of, of.k, corner.head, of.keys, key);
    __syncthreads();
    typename S::Scores score;
    multiply<S>(score, memory.first, memory.others, of.channels);
    LIKELY_UNROLL
    for (int i = 0; i < S::own_rows; ++i) {
      const std::int64_t end = of.seen_by(corner.first + own_row(i));
      A most = largest[i], part = 0;
      LIKELY_UNROLL
      for (int j = 0; j < S::other_rows; ++j) {
        score[i][j] = key + other_row(j) < end ? score[i][j] * of.scale : Max<A>::start();
        most = Max<A>::join(most, score[i][j]);
      }
      most = joined<Max<A>>(most);
      LIKELY_UNROLL
      for (int j = 0; j < S::other_rows; ++j) {
        const A power = exp(score[i][j] - most);
        memory.weights[own_row(i)][other_row(j)] = power;
        part += power;
      }
      const A factor = exp(largest[i] - most);
      sum[i] = sum[i] * factor + joined<Sum<A>>(part);
      largest[i] = most;
      LIKELY_UNROLL
      for (int c = 0; c < S::packs * S::size; ++c)
        out[i][c / S::size][c % S::size] *= factor;
    }
    __syncthreads();  // the keys are read
    load(memory.others, of, of.v, corner.head, of.keys, key);
    __syncthreads();
    add_weighted<S>(out, memory, of.channels);
  }
  LIKELY_UNROLL
  for (int i = 0; i < S::own_rows; ++i) {
    const std::int64_t query = corner.first + own_row(i);
    if (query >= of.queries)
      continue;
    store<S>(of.out + of.element(corner.head, of.queries, query), out, i, sum[i], of.channels);
    if (other_row(0) == 0)
      of.log_sum[corner.head * of.queries + query] = largest[i] + log(sum[i]);
  }
}

// Σ g out of each query, a warp a query.
template <class T>
__global__ void __launch_bounds__(block_threads) dots_of_rows(Typed<T> of, std::int64_t count) {
  using A = Computed<T>;
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  const std::int64_t row =
      std::int64_t{blockIdx.x} * (block_threads / warp_size) + threadIdx.x / warp_size;
  if (row >= count)
    return;
  const std::int64_t at = of.element(row / of.queries, of.queries, row % of.queries);
  A sum = 0;
  for (std::int64_t c = lane; c < of.channels; c += warp_size)
    sum = multiply_add(static_cast<A>(of.g[at + c]), static_cast<A>(of.out[at + c]), sum);
  for (int bit = 1; bit < warp_size; bit *= 2)
    sum = Sum<A>::join(sum, across(sum, bit));
  if (lane == 0)
    of.dots[row] = sum;
}

// With p the probabilities and ds = p ∘ (g vᵀ - dots), scaled: a block's rows of dq = ds k, or of
// dk = dsᵀ q and dv = pᵀ g.
template <class T, int most_channels, bool of_keys>
__global__ void __launch_bounds__(block_threads, together<T>) gradients(Typed<T> of) {
  using A = Computed<T>;
  using S = Tile<A, most_channels>;
  auto& memory = shared<typename S::TwoOwn>();
  const std::int64_t rows = of_keys ? of.keys : of.queries, others = of_keys ? of.queries : of.keys;
  const T *const first = of_keys ? of.q : of.k, *const second = of_keys ? of.g : of.v;
  const Corner corner(rows, S::own);
  const std::int64_t head = corner.head;
  typename S::Sums of_first, of_second;
  clear<S>(of_first);
  clear<S>(of_second);
  load(memory.first, of, of_keys ? of.k : of.q, head, rows, corner.first);
  load(memory.second, of, of_keys ? of.v : of.g, head, rows, corner.first);

  std::int64_t begin = 0;
  if (of_keys && of.causal && corner.first > of.keys - of.queries)  // the first that sees a key
    begin = (corner.first - of.keys + of.queries) / S::other * S::other;
  const std::int64_t end = of_keys ? of.queries : of.seen_by(corner.first + S::own - 1);
  for (std::int64_t at = begin; at < end; at += S::other) {
    typename S::Scores p, slope;
    __syncthreads();  // the rows before are read
    load(memory.others, of, second, head, others, at);
    __syncthreads();
    multiply<S>(slope, memory.second, memory.others, of.channels);
    __syncthreads();
    load(memory.others, of, first, head, others, at);
    __syncthreads();
    multiply<S>(p, memory.first, memory.others, of.channels);
    LIKELY_UNROLL
    for (int i = 0; i < S::own_rows; ++i) {
      LIKELY_UNROLL
      for (int j = 0; j < S::other_rows; ++j) {
        const std::int64_t own = corner.first + own_row(i), other = at + other_row(j);
        const std::int64_t query = of_keys ? other : own, key = of_keys ? own : other;
        const bool seen = query < of.queries && key < of.seen_by(query);
        const std::int64_t row = head * of.queries + (seen ? query : 0);
        p[i][j] = seen ? exp(p[i][j] * of.scale - of.log_sum[row]) : A(0);
        memory.weights[own_row(i)][other_row(j)] =
            seen ? p[i][j] * (slope[i][j] - of.dots[row]) * of.scale : A(0);
      }
    }
    __syncthreads();
    add_weighted<S>(of_first, memory, of.channels);
    if constexpr (of_keys) {
      __syncthreads();
      load(memory.others, of, second, head, others, at);
      LIKELY_UNROLL
      for (int i = 0; i < S::own_rows; ++i) {
        LIKELY_UNROLL
        for (int j = 0; j < S::other_rows; ++j)
          memory.weights[own_row(i)][other_row(j)] = p[i][j];
      }
      __syncthreads();
      add_weighted<S>(of_second, memory, of.channels);
    }
  }
  LIKELY_UNROLL
  for (int i = 0; i < S::own_rows; ++i) {
    const std::int64_t row = corner.first + own_row(i);
    if (row >= rows)
      continue;
    const std::int64_t to = of.element(head, rows, row);
    store<S>((of_keys ? of.dk : of.dq) + to, of_first, i, A(1), of.channels);
    if constexpr (of_keys)
      store<S>(of.dv + to, of_second, i, A(1), of.channels);
  }
}

// ---- Launches

bool few(const AttentionProblem& p, const Variant& narrow) {
  return p.channels <= 64 && narrow.usable();
}

template <class T, int most_channels>
Grid grid_of(const AttentionProblem& p, std::int64_t rows, std::size_t shared_memory) {
  const std::int64_t tiles = quotient_up(rows, Tile<Computed<T>, most_channels>::own);
  return {static_cast<unsigned>(tiles * p.batch * p.heads), block_threads, shared_memory};
}

template <class T, int most_channels>
void launch_values(const AttentionProblem& p, void* space) {
  using Memory = typename Tile<Computed<T>, most_channels>::Memory;
  launch(AttentionVariants<T, most_channels>::values, values<T, most_channels>,
         grid_of<T, most_channels>(p, p.queries, sizeof(Memory)), Typed<T>(p, space));
}

template <class T, int most_channels>
void launch_gradients(const AttentionProblem& p, void* space) {
  using Memory = typename Tile<Computed<T>, most_channels>::TwoOwn;
  using Of = AttentionVariants<T, most_channels>;
  const Typed<T> typed(p, space);
  const std::int64_t rows = p.batch * p.heads * p.queries;
  const auto blocks = static_cast<unsigned>(quotient_up(rows, block_threads / warp_size));
  launch(attention_dots<T>, dots_of_rows<T>, {blocks, block_threads}, typed, rows);
  launch(Of::query_gradients, gradients<T, most_channels, false>,
         grid_of<T, most_channels>(p, p.queries, sizeof(Memory)), typed);
  launch(Of::key_gradients, gradients<T, most_channels, true>,
         grid_of<T, most_channels>(p, p.keys, sizeof(Memory)), typed);
}

// Of dots, which gradients read.
std::size_t workspace(const AttentionProblem& p, int) {
  require(p.channels <= 256,
          "attention: heads have {} channels; on cuda they may have 256. Use more heads.",
          p.channels);
  return static_cast<std::size_t>(p.batch * p.heads * p.queries) *
         (p.dtype == DType::f64 ? sizeof(double) : sizeof(float));
}

const Registered<AttentionBackend> registered(attention_family(), Device::cuda, Source::own,
                                              {"attention", workspace,
                                               [](const AttentionProblem& p, void* space) {
                                                 with_floating(p.dtype, [&]<class T>(Type<T>) {
                                                   few(p, AttentionVariants<T, 64>::values)
                                                       ? launch_values<T, 64>(p, space)
                                                       : launch_values<T, 256>(p, space);
                                                 });
                                               },
                                               [](const AttentionProblem& p, void* space) {
                                                 with_floating(p.dtype, [&]<class T>(Type<T>) {
                                                   using Few = AttentionVariants<T, 64>;
                                                   few(p, Few::query_gradients) &&
                                                           few(p, Few::key_gradients)
                                                       ? launch_gradients<T, 64>(p, space)
                                                       : launch_gradients<T, 256>(p, space);
                                                 });
                                               }});

}  // namespace
}  // namespace likely::kernels::cuda
