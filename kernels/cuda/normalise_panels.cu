// Normalisation in one pass: a block has a panel of an image's channels, whose elements stay in its
// shared memory. What is read is read once, and nothing is left for another launch to join.
#include <bit>
#include <numeric>
#include <optional>

#include "kernels/convert.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/normalise.h"
#include "kernels/cuda/normalise_proofs.h"

namespace likely::kernels::cuda {
namespace {

constexpr int widest = 256;  // channels

// Whole groups in whole packs; `wide` threads beside each other, of which the last may have none,
// and `deep` behind each other, with `rows` packs each.
struct Panel {
  int width, wide, deep, rows;
  LIKELY_HD int threads() const { return wide * deep; }
};

// Of x, or of x and g.
int operands(const NormaliseProblem& p) { return p.whole == Whole::gradients ? 2 : 1; }

std::optional<Panel> panel_of(const NormaliseProblem& p) {
  constexpr std::int64_t sector = 32, room = 64 * 1024;  // bytes of memory; for two blocks or three
  const auto element = static_cast<std::int64_t>(size_of(p.dtype)), pack = 16 / element;
  std::int64_t width = std::lcm(p.group, pack);
  while (width * element < sector && p.channels % (2 * width) == 0)
    width *= 2;
  if (width > widest || p.channels % width != 0)
    return std::nullopt;
  const int wide = power_of_two(width / pack, block_threads);
  const int deep =
      power_of_two(std::max<std::int64_t>(p.positions, warp_size / wide), block_threads / wide);
  const std::int64_t rows = quotient_up(p.positions, deep);
  if (wide > warp_size || operands(p) * rows * wide * deep * 16 > room)
    return std::nullopt;
  return Panel{static_cast<int>(width), wide, deep, static_cast<int>(rows)};
}

// A thread of a panel: `size` adjacent channels in every deep-th row.
template <class T>
struct PanelThread {
  using A = Computed<T>;
  using Op = PairSum<A>;
  using Value = Pair<A>;
  static constexpr int size = Pack<T>::size;
  struct Memory {
    Warps<Value, size> warps;
    A total[3][widest];  // of each channel
    Pack<T> held;        // and those of all threads and rows behind it
  };

  const Typed<T>& of;
  const Panel& panel;
  Memory& memory;
  int thread, column;                             // of the panel's channels
  int line, rows;                                 // its first row, and how many it has
  std::int64_t image, first, channel, statistic;  // the panel's first channel; of `column`
  std::int64_t some;                              // channels: all or none
  bool tells;                                     // what all threads of its channels know

  LIKELY_DEVICE PanelThread(const Typed<T>& typed, const Panel& cut, Memory& shared)
      : of(typed), panel(cut), memory(shared) {
    thread = static_cast<int>(threadIdx.x);
    column = thread % panel.wide * size;
    const std::int64_t panels = of.channels / panel.width;
    image = blockIdx.x / panels;
    first = blockIdx.x % panels * panel.width;
    channel = first + column;
    statistic = image * of.channels + channel;
    some = column < panel.width ? size : 0;
    line = thread / panel.wide;
    rows = some == 0 ? 0 : (static_cast<int>(of.positions) - line + panel.deep - 1) / panel.deep;
    tells = thread < panel.wide && some > 0;
  }
  LIKELY_DEVICE std::int64_t element(int row) const {
    return (image * of.positions + line + row * panel.deep) * of.channels + channel;
  }
  LIKELY_DEVICE Pack<T>& held(int operand, int row) const {
    return (&memory.held)[(operand * panel.rows + row) * panel.threads() + thread];
  }
  // All loads are under way at once; each thread reads what it has loaded itself.
  LIKELY_DEVICE void load(int operand, const T* from) const {
    for (int row = 0; row < rows; ++row)
      if (of.aligned)
        cp_async16(&held(operand, row), from + element(row));
      else
        held(operand, row) = load_some(from + element(row), size, false);
    cp_async_commit();
  }
  // what(row, k) joined over the panel's rows, for each of the thread's channels.
  template <class F>
  LIKELY_DEVICE void sum(Value (&value)[size], F what) const {
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      value[k] = Op::start();
    for (int row = 0; row < rows; ++row) {
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k)
        value[k] = Op::join(value[k], what(row, k));
    }
    join<Op>(value, panel.wide, panel.threads(), memory.warps);
  }
  template <class F>
  LIKELY_DEVICE void write(F what) const {
    for (int row = 0; row < rows; ++row) {
      Pack<T> pack;
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k)
        pack.value[k] = T(what(row, k));
      store_some(of.out + element(row), pack, size, of.aligned);
    }
  }
  // what(k) for each channel, by one of the threads that know of it.
  template <class F>
  LIKELY_DEVICE void tell(F what) const {
    if (!tells)
      return;
    LIKELY_UNROLL
    for (int k = 0; k < size; ++k)
      what(k);
  }
  // Of the channels' totals, which have been told, over their groups.
  LIKELY_DEVICE void share(A (&mean)[size], int which, const A* scale) const {
    each_mean(mean, of, some, channel, memory.total[which], first, scale);
  }
};

template <class T>
__global__ void __launch_bounds__(block_threads, 2) panel_values(Typed<T> of, Panel panel) {
  using Thread = PanelThread<T>;
  using A = Computed<T>;
  constexpr int size = Thread::size;
  const Thread at(of, panel, shared<typename Thread::Memory>());
  at.load(0, of.x);
  Pair<A> value[size];
  A offset[size], mean[size] = {}, off[size], variance[size], factor[size], term[size];
  each(offset, at.some, [&](int k) { return of.offset ? of.offset[at.statistic + k] : A(0); });
  each(term, at.some, [&](int k) { return of.term(at.channel + k); });
  cp_async_wait<0>();
  const auto centred = [&](int row, int k) {
    return static_cast<A>(at.held(0, row).value[k]) - mean[k];
  };

  at.sum(value, [&](int row, int k) { return Pair<A>{centred(row, k), A(0)}; });
  at.tell([&](int k) {
    at.memory.total[0][at.column + k] =
        multiply_add(static_cast<A>(of.positions), offset[k], value[k].h);
  });
  __syncthreads();
  at.share(mean, 0, nullptr);
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    mean[k] -= offset[k];

  at.sum(value, [&](int row, int k) {
    return Pair<A>{centred(row, k), centred(row, k) * centred(row, k)};
  });
  at.tell([&](int k) {
    at.memory.total[1][at.column + k] = value[k].hx;
    at.memory.total[2][at.column + k] = value[k].h;
  });
  __syncthreads();
  at.share(variance, 1, nullptr);
  at.share(off, 2, nullptr);
  LIKELY_UNROLL
  for (int k = 0; k < size; ++k)
    correct_moments(mean[k], variance[k], off[k], A(1));
  at.tell([&](int k) {
    of.mean[at.statistic + k] = mean[k];
    of.variance[at.statistic + k] = variance[k];
  });
  each(factor, at.some, [&](int k) {
    return (of.scale ? of.scale[at.channel + k] : A(1)) / sqrt(variance[k] + of.epsilon);
  });
  at.write([&](int row, int k) {
    return activated(of.how, multiply_add(centred(row, k), factor[k], term[k]));
  });
}

template <class T>
__global__ void __launch_bounds__(block_threads, 2) panel_gradients(Typed<T> of, Panel panel) {
  using Thread = PanelThread<T>;
  using A = Computed<T>;
  constexpr int size = Thread::size;
  const Thread at(of, panel, shared<typename Thread::Memory>());
  at.load(0, of.x);
  at.load(1, of.g);
  A mean[size], factor[size], term[size], level[size], tilt[size];
  each(mean, at.some, [&](int k) { return of.mean[at.statistic + k]; });
  each(factor, at.some, [&](int k) { return of.factor(at.image, at.channel + k); });
  each(term, at.some, [&](int k) { return of.term(at.channel + k); });
  cp_async_wait<0>();
  const bool sloped = slope_reads_value(of.how.activation, of.how.slope);
  const auto centred = [&](int row, int k) {
    return static_cast<A>(at.held(0, row).value[k]) - mean[k];
  };
  const auto slope = [&](int row, int k) {
    return before(of.how, static_cast<A>(at.held(1, row).value[k]),
                  sloped ? static_cast<A>(of.y[at.element(row) + k]) : A(0),
                  multiply_add(centred(row, k), factor[k], term[k]));
  };

  Pair<A> value[size];
  at.sum(value, [&](int row, int k) {
    const A h = slope(row, k);
    return Pair<A>{h, h * centred(row, k)};
  });
  at.tell([&](int k) {
    const A of_scale = value[k].hx * of.inverse_sd(at.statistic + k);
    at.memory.total[0][at.column + k] = of.sum_shift[at.statistic + k] = value[k].h;
    at.memory.total[1][at.column + k] = of.sum_scale[at.statistic + k] = of_scale;
  });
  __syncthreads();
  at.share(level, 0, of.scale);
  at.share(tilt, 1, of.scale);
  of_centred(of, at.some, at.statistic, level, tilt);
  at.write([&](int row, int k) {
    return multiply_add(slope(row, k), factor[k], multiply_add(centred(row, k), tilt[k], level[k]));
  });
}

template <class T>
void fill(void (*kernel)(Typed<T>, Panel), const NormaliseProblem& problem,
          const Variant& variant) {
  const Panel panel = *panel_of(problem);
  const int packs = operands(problem) * panel.rows * panel.threads();
  launch(variant, kernel,
         {static_cast<unsigned>(problem.images * (problem.channels / panel.width)), panel.threads(),
          sizeof(typename PanelThread<T>::Memory) + static_cast<std::size_t>(packs - 1) * 16},
         Typed<T>(problem), panel);
}

const Variant& variant_of(const NormaliseProblem& problem) {
  const Variant* found = nullptr;
  with_floating(problem.dtype, [&]<class T>(Type<T>) {
    found = problem.whole == Whole::gradients ? &NormaliseVariants<T>::panel_gradients
                                              : &NormaliseVariants<T>::panel_values;
  });
  return *found;
}

}  // namespace

bool panel_serves(const NormaliseProblem& problem) {
  return panel_of(problem) && variant_of(problem).usable();
}

void fill_panels(const NormaliseProblem& problem, void*) {
  with_floating(problem.dtype, [&]<class T>(Type<T>) {
    if (problem.whole == Whole::gradients)
      fill<T>(panel_gradients<T>, problem, variant_of(problem));
    else
      fill<T>(panel_values<T>, problem, variant_of(problem));
  });
}

}  // namespace likely::kernels::cuda
