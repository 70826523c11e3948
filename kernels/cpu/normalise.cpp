// Normalisation on the CPU: which thread takes which rows. The loops are in isa/normalise.cpp.
#include "kernels/normalise.h"

#include <algorithm>
#include <bit>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/normalise.h"
#include "kernels/normalise_groups.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk = 1 << 15;  // elements a thread takes at a time
constexpr std::int64_t most_parts = 64;  // of all images

const NormaliseTable& table() { return for_isa(isa_v3::normalise_table, isa_v4::normalise_table); }

// The rows of an image in equal powers of two of blocks, which are summed apart.
struct Parts {
  std::int64_t rows, count;

  explicit Parts(const NormaliseProblem& p) {
    const std::int64_t wanted = std::max<std::int64_t>(most_parts / p.images, 1);
    const std::int64_t least =
        std::max({(p.positions - 1) / wanted + 1, chunk / p.channels, normalise_block(p.channels)});
    rows = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(least)));
    count = (p.positions - 1) / rows + 1;
  }
};

template <class S, class A>
struct Normaliser {
  const NormaliseProblem& problem;
  const NormaliseLoops<S, A>& loops;
  using Rows = NormaliseRows<S, A>;
  using Loops = NormaliseLoops<S, A>;

  // Rows [begin, begin + rows) of an image, the channels from `first` on.
  Rows rows_of(std::int64_t image, std::int64_t begin, std::int64_t rows, std::int64_t first,
               std::int64_t most) const {
    const std::int64_t channels = problem.channels;
    const std::int64_t at = (image * problem.positions + begin) * channels + first;
    const auto element = [at](const void* p) {
      return p ? static_cast<const S*>(p) + at : nullptr;
    };
    const auto channel = [](const void* p, std::int64_t c) {
      return p ? static_cast<const A*>(p) + c : nullptr;
    };
    const std::int64_t of_image = image * channels + first;
    return {rows,
            channels,
            std::min(channels - first, most),
            element(problem.x),
            element(problem.g),
            element(problem.y),
            problem.out ? static_cast<S*>(problem.out) + at : nullptr,
            channel(problem.mean, of_image),
            channel(problem.variance, of_image),
            channel(problem.scale, first),
            channel(problem.shift, first),
            channel(problem.sum_shift, of_image),
            channel(problem.sum_scale, of_image),
            first,
            problem.group,
            static_cast<A>(problem.positions),
            static_cast<A>(problem.how.epsilon),
            problem.how.activation,
            problem.how.slope};
  }

  // Two numbers a channel and image: of all rows at once, or joined from those of parts.
  void pairs(typename Loops::Pair* of_rows, typename Loops::Join* join, void* workspace, A* first,
             A* second) const {
    const Parts parts(problem);
    const std::int64_t channels = problem.channels;
    auto* space = static_cast<A*>(workspace);  // [images, parts, 2, channels]
    const std::int64_t elements = std::min(parts.rows, problem.positions) * channels;
    parallel_for(problem.images * parts.count, std::max<std::int64_t>(chunk / elements, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t task = begin; task < end; ++task) {
                     const std::int64_t image = task / parts.count, part = task % parts.count;
                     const std::int64_t row = part * parts.rows;
                     A* a =
                         parts.count > 1 ? space + task * 2 * channels : first + image * channels;
                     A* b = parts.count > 1 ? a + channels : second + image * channels;
                     for (std::int64_t c = 0; c < channels; c += normalise_columns)
                       of_rows(rows_of(image, row, std::min(parts.rows, problem.positions - row), c,
                                       normalise_columns),
                               a + c, b + c);
                   }
                 });
    if (parts.count == 1)
      return;
    const std::int64_t last = problem.positions - (parts.count - 1) * parts.rows;
    for (std::int64_t image = 0; image < problem.images; ++image)
      for (std::int64_t c = 0; c < channels; c += normalise_columns)
        join(space + image * parts.count * 2 * channels + c, parts.count, channels,
             std::min(channels - c, normalise_columns), parts.rows, last,
             first + image * channels + c, second + image * channels + c);
  }

  void moments(void* workspace) const {
    auto *mean = static_cast<A*>(problem.mean), *variance = static_cast<A*>(problem.variance);
    const auto* offset = static_cast<const A*>(problem.offset);
    pairs(loops.moments, loops.join_moments, workspace, mean, variance);
    const std::int64_t count = problem.images * problem.channels;
    for (std::int64_t i = 0; i < count; ++i)
      variance[i] /= static_cast<A>(problem.positions);
    for (std::int64_t i = 0; problem.group > 1 && i < count; i += problem.group)
      share_moments(mean + i, variance + i, offset ? offset + i : nullptr, problem.group);
  }

  void sums(void* workspace) const {
    pairs(loops.sums, loops.join_sums, workspace, static_cast<A*>(problem.sum_shift),
          static_cast<A*>(problem.sum_scale));
  }

  // Writes every row.
  void each(void (*write)(const Rows&)) const {
    const std::int64_t rows = std::max<std::int64_t>(chunk / problem.channels, 1);
    const std::int64_t pieces = (problem.positions - 1) / rows + 1;  // of an image
    const std::int64_t elements = std::min(rows, problem.positions) * problem.channels;
    parallel_for(problem.images * pieces, std::max<std::int64_t>(chunk / elements, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t task = begin; task < end; ++task) {
                     const std::int64_t row = task % pieces * rows;
                     for (std::int64_t c = 0; c < problem.channels; c += normalise_columns_written)
                       write(rows_of(task / pieces, row, std::min(rows, problem.positions - row), c,
                                     normalise_columns_written));
                   }
                 });
  }
};

template <class F>
void with_loops(const NormaliseProblem& problem, F f) {
  if (problem.dtype == DType::f32)
    f(Normaliser<float, float>{problem, table().f32});
  else if (problem.dtype == DType::f64)
    f(Normaliser<double, double>{problem, table().f64});
  else
    f(Normaliser<std::uint16_t, float>{problem, table().bf16});
}

std::size_t workspace(const NormaliseProblem& problem) {
  const Parts parts(problem);
  const std::size_t pair = 2 * (problem.dtype == DType::f64 ? sizeof(double) : sizeof(float));
  return parts.count == 1
             ? 0
             : static_cast<std::size_t>(problem.images * parts.count * problem.channels) * pair;
}

void moments(const NormaliseProblem& problem, void* space) {
  with_loops(problem, [&](const auto& normaliser) { normaliser.moments(space); });
}
void sums(const NormaliseProblem& problem, void* space) {
  with_loops(problem, [&](const auto& normaliser) { normaliser.sums(space); });
}
void normalise(const NormaliseProblem& problem) {
  with_loops(problem, [](const auto& normaliser) { normaliser.each(normaliser.loops.normalise); });
}
void data(const NormaliseProblem& problem) {
  with_loops(problem, [](const auto& normaliser) { normaliser.each(normaliser.loops.data); });
}

const Registered<NormaliseBackend> registered(normalise_family(), Device::cpu, Source::own,
                                              {"normalise", workspace, moments, sums, normalise,
                                               data});

}  // namespace
}  // namespace likely::kernels
