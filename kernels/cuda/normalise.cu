// Normalisation on CUDA: threads keep their channels and walk down the rows. Means, deviations and
// sums of gradients are reduced as columns are (columns.h); x is read once for the mean and once
// for the variance, which also tells what the mean is off by.
#include "kernels/convert.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/normalise.h"
#include "kernels/cuda/normalise_proofs.h"

namespace likely::kernels::cuda {
namespace {

// The mean of x.
template <class T>
struct Means {
  using A = Computed<T>;
  using Op = Sum<A>;
  static constexpr int size = Pack<T>::size, at_once = 4;

  Cut cut;
  std::int64_t outer, reduced, inner;
  Typed<T> typed;
  A* partial;

  LIKELY_DEVICE const Means& of(const Share&) const { return *this; }
  LIKELY_DEVICE Pack<T> load(std::int64_t at, std::int64_t left) const {
    return load_some(typed.x + at, left, typed.aligned);
  }
  LIKELY_DEVICE A value(const Pack<T>& pack, int k, std::int64_t) const {
    return static_cast<A>(pack.value[k]);
  }
  LIKELY_DEVICE void put(std::int64_t index, A value) const {
    if (partial)
      partial[index] = value;
    else
      typed.mean[index] = value / static_cast<A>(typed.positions);
  }
};

// The variance around that mean, and the mean put right.
template <class T>
struct Deviations {
  using A = Computed<T>;
  using Op = PairSum<A>;
  static constexpr int size = Pack<T>::size, at_once = 4;

  Cut cut;
  std::int64_t outer, reduced, inner;
  Typed<T> typed;
  Pair<A>* partial;

  struct Thread {
    const Typed<T>& typed;
    A mean[size];
    LIKELY_DEVICE Pack<T> load(std::int64_t at, std::int64_t left) const {
      return load_some(typed.x + at, left, typed.aligned);
    }
    LIKELY_DEVICE Pair<A> value(const Pack<T>& pack, int k, std::int64_t) const {
      const A deviation = static_cast<A>(pack.value[k]) - mean[k];
      return {deviation, deviation * deviation};
    }
  };
  LIKELY_DEVICE Thread of(const Share& share) const {
    Thread thread{typed, {}};
    each(thread.mean, share.left,
         [&](int k) { return typed.mean[share.outer * inner + share.column + k]; });
    return thread;
  }
  LIKELY_DEVICE void put(std::int64_t index, const Pair<A>& value) const {
    if (partial) {
      partial[index] = value;
    } else {
      const A count = static_cast<A>(typed.positions);
      A squares = value.hx;
      correct_moments(typed.mean[index], squares, value.h, count);
      typed.variance[index] = squares / count;
    }
  }
};

template <class T>
struct Slopes {
  using A = Computed<T>;
  using Op = PairSum<A>;
  static constexpr int size = Pack<T>::size, at_once = 2;

  Cut cut;
  std::int64_t outer, reduced, inner;
  Typed<T> typed;
  Pair<A>* partial;

  struct Three {
    Pack<T> x, g, y;
  };
  struct Thread {
    const Typed<T>& typed;
    A mean[size], factor[size], term[size];
    LIKELY_DEVICE Three load(std::int64_t at, std::int64_t left) const {
      Three three{load_some(typed.x + at, left, typed.aligned),
                  load_some(typed.g + at, left, typed.aligned),
                  {}};
      if (slope_reads_value(typed.how.activation, typed.how.slope))
        three.y = load_some(typed.y + at, left, typed.aligned);
      return three;
    }
    LIKELY_DEVICE Pair<A> value(const Three& three, int k, std::int64_t) const {
      const A centred = static_cast<A>(three.x.value[k]) - mean[k];
      const A h =
          before(typed.how, static_cast<A>(three.g.value[k]), static_cast<A>(three.y.value[k]),
                 multiply_add(centred, factor[k], term[k]));
      return {h, h * centred};
    }
  };
  LIKELY_DEVICE Thread of(const Share& share) const {
    Thread thread{typed, {}, {}, {}};
    each(thread.mean, share.left,
         [&](int k) { return typed.mean[share.outer * inner + share.column + k]; });
    if (typed.how.activation == Activation::silu) {
      each(thread.factor, share.left,
           [&](int k) { return typed.factor(share.outer, share.column + k); });
      each(thread.term, share.left, [&](int k) { return typed.term(share.column + k); });
    }
    return thread;
  }
  LIKELY_DEVICE void put(std::int64_t index, const Pair<A>& value) const {
    if (partial) {
      partial[index] = value;
    } else {
      typed.sum_shift[index] = value.h;
      typed.sum_scale[index] = value.hx * typed.inverse_sd(index);
    }
  }
};

// What the launch before has left of each part, joined; `last` takes what is done.
template <class Joined, class Last>
struct Parts {
  using Op = Joined;
  using Value = typename Op::Value;
  static constexpr int size = Pack<Value>::size, at_once = 4;

  Cut cut;
  std::int64_t outer, reduced, inner;
  const Value* x;
  bool aligned;
  Value* partial;
  Last last;

  LIKELY_DEVICE const Parts& of(const Share&) const { return *this; }
  LIKELY_DEVICE Pack<Value> load(std::int64_t at, std::int64_t left) const {
    return load_some(x + at, left, aligned);
  }
  LIKELY_DEVICE Value value(const Pack<Value>& pack, int k, std::int64_t) const {
    return pack.value[k];
  }
  LIKELY_DEVICE void put(std::int64_t index, const Value& value) const {
    if (partial)
      partial[index] = value;
    else
      last.put(index, value);
  }
};

template <class Task>
void launch_columns(const Variant& variant, const Task& task) {
  using Value = typename Task::Op::Value;
  launch(variant, columns<Task>,
         grid_of(task.cut, Task::size, task.outer, task.inner, sizeof(Warps<Value, Task::size>)),
         task);
}

// The first launch, and those that join its parts. `task` has its sizes.
template <class Task>
void reduce_columns(const Variant& variant, Task task, typename Task::Op::Value* space) {
  using Op = typename Task::Op;
  using Later = Parts<Op, Task>;
  task.cut = column_cut(Task::size, task.reduced, task.inner);
  task.partial = task.cut.parts > 1 ? space : nullptr;
  launch_columns(variant, task);
  Task last = task;
  last.partial = nullptr;
  for (std::int64_t parts = task.cut.parts; parts > 1;) {
    const Cut cut = column_cut(Later::size, parts, task.inner);
    typename Op::Value* const next = space + task.outer * parts * task.inner;
    launch_columns(variant, Later{.cut = cut,
                                  .outer = task.outer,
                                  .reduced = parts,
                                  .inner = task.inner,
                                  .x = space,
                                  .aligned = aligned16(space) && task.inner % Later::size == 0,
                                  .partial = cut.parts > 1 ? next : nullptr,
                                  .last = last});
    parts = cut.parts;
    space = next;
  }
}

// The moments of the channels of a group become those of all, a thread a group.
template <class T>
__global__ void __launch_bounds__(block_threads) shared_moments(Typed<T> of, std::int64_t groups) {
  const std::int64_t index = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (index < groups)
    share_moments(of.mean + index * of.group, of.variance + index * of.group,
                  of.offset ? of.offset + index * of.group : nullptr, of.group);
}

// activation(scale x̂ + shift), or the gradient of x where there is g.
template <class T, bool gradient>
__global__ void __launch_bounds__(block_threads, 2) written(Typed<T> of, Cut cut) {
  using A = Computed<T>;
  constexpr int size = Pack<T>::size, at_once = 2;
  const Share share(cut, size, of.images, of.positions, of.channels);
  const std::int64_t image = share.outer * of.channels + share.column;
  A mean[size], factor[size], term[size], level[size] = {}, tilt[size] = {};
  each(mean, share.left, [&](int k) { return of.mean[image + k]; });
  each(factor, share.left, [&](int k) { return of.factor(share.outer, share.column + k); });
  each(term, share.left, [&](int k) { return of.term(share.column + k); });
  if (gradient && of.sum_shift) {
    const std::int64_t first = share.outer * of.channels;  // of the image's sums
    each_mean(level, of, share.left, share.column, of.sum_shift + first, 0, of.scale);
    each_mean(tilt, of, share.left, share.column, of.sum_scale + first, 0, of.scale);
    of_centred(of, share.left, image, level, tilt);
  }
  const bool sloped = gradient && slope_reads_value(of.how.activation, of.how.slope);
  const auto left = [&](int i) { return share.first + i * cut.deep < share.end ? share.left : 0; };
  const auto at = [&](int i) {
    return (share.outer * of.positions + share.first + i * cut.deep) * of.channels + share.column;
  };
  for (int i = 0; i < depth && left(i) > 0; i += at_once) {
    Pack<T> x[at_once], g[at_once] = {}, y[at_once] = {};
    LIKELY_UNROLL
    for (int j = 0; j < at_once; ++j) {
      x[j] = load_some(of.x + at(i + j), left(i + j), of.aligned);
      if constexpr (gradient)
        g[j] = load_some(of.g + at(i + j), left(i + j), of.aligned);
      if (sloped)
        y[j] = load_some(of.y + at(i + j), left(i + j), of.aligned);
    }
    LIKELY_UNROLL
    for (int j = 0; j < at_once; ++j) {
      LIKELY_UNROLL
      for (int k = 0; k < size; ++k) {
        const A centred = static_cast<A>(x[j].value[k]) - mean[k];
        if constexpr (gradient) {
          const A h = before(of.how, static_cast<A>(g[j].value[k]), static_cast<A>(y[j].value[k]),
                             multiply_add(centred, factor[k], term[k]));
          x[j].value[k] = T(multiply_add(h, factor[k], multiply_add(centred, tilt[k], level[k])));
        } else {
          x[j].value[k] = T(activated(of.how, multiply_add(centred, factor[k], term[k])));
        }
      }
      store_some(of.out + at(i + j), x[j], left(i + j), of.aligned);
    }
  }
}

template <class T>
bool split(const NormaliseProblem& problem) {
  return column_cut(Pack<T>::size, problem.positions, problem.channels).parts > 1;
}

template <class T>
void moments(const NormaliseProblem& problem, void* space) {
  using A = Computed<T>;
  const Typed<T> typed(problem);
  const Variant& variant =
      split<T>(problem) ? NormaliseVariants<T>::split_moments : NormaliseVariants<T>::moments;
  reduce_columns(variant,
                 Means<T>{.cut = {},
                          .outer = problem.images,
                          .reduced = problem.positions,
                          .inner = problem.channels,
                          .typed = typed,
                          .partial = nullptr},
                 static_cast<A*>(space));
  reduce_columns(variant,
                 Deviations<T>{.cut = {},
                               .outer = problem.images,
                               .reduced = problem.positions,
                               .inner = problem.channels,
                               .typed = typed,
                               .partial = nullptr},
                 static_cast<Pair<A>*>(space));
  if (problem.group == 1)
    return;
  const std::int64_t groups = problem.images * (problem.channels / problem.group);
  launch(NormaliseVariants<T>::shared, shared_moments<T>,
         {static_cast<unsigned>(quotient_up(groups, block_threads)), block_threads}, typed, groups);
}

template <class T>
void sums(const NormaliseProblem& problem, void* space) {
  using A = Computed<T>;
  reduce_columns(split<T>(problem) ? NormaliseVariants<T>::split_sums : NormaliseVariants<T>::sums,
                 Slopes<T>{.cut = {},
                           .outer = problem.images,
                           .reduced = problem.positions,
                           .inner = problem.channels,
                           .typed = Typed<T>(problem),
                           .partial = nullptr},
                 static_cast<Pair<A>*>(space));
}

template <class T, bool gradient>
void write(const NormaliseProblem& problem) {
  const Cut cut = column_cut(Pack<T>::size, problem.positions, problem.channels);
  launch(gradient ? NormaliseVariants<T>::data : NormaliseVariants<T>::values, written<T, gradient>,
         grid_of(cut, Pack<T>::size, problem.images, problem.channels, 0), Typed<T>(problem), cut);
}

// Of the pairs, which are the larger; means take half.
std::size_t workspace(const NormaliseProblem& problem) {
  if (problem.whole != Whole::no)
    return 0;
  const std::int64_t pair = problem.dtype == DType::f64 ? 16 : 8;
  const int element = static_cast<int>(size_of(problem.dtype));
  std::int64_t values = 0;
  const auto next = [&](int pack, std::int64_t reduced) {
    return column_cut(pack, reduced, problem.channels).parts;
  };
  // Means have twice as many values a pack, so no more parts.
  const int later = static_cast<int>(16 / pair);
  for (std::int64_t parts = next(16 / element, problem.positions); parts > 1;
       parts = next(later, parts))
    values += problem.images * parts * problem.channels;
  return static_cast<std::size_t>(values * pair);
}

const Registered<NormaliseBackend> registered(
    normalise_family(), Device::cuda, Source::own,
    {"normalise", workspace,
     [](const NormaliseProblem& problem, void* space) {
       with_floating(problem.dtype, [&]<class T>(Type<T>) { moments<T>(problem, space); });
     },
     [](const NormaliseProblem& problem, void* space) {
       with_floating(problem.dtype, [&]<class T>(Type<T>) { sums<T>(problem, space); });
     },
     [](const NormaliseProblem& problem) {
       with_floating(problem.dtype, [&]<class T>(Type<T>) { write<T, false>(problem); });
     },
     [](const NormaliseProblem& problem) {
       with_floating(problem.dtype, [&]<class T>(Type<T>) { write<T, true>(problem); });
     },
     panel_serves, fill_panels});

}  // namespace
}  // namespace likely::kernels::cuda
