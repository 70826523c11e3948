// Attention on the CPU: which thread takes which queries or heads, and the plain kernel of the
// types that the one of isa/attention.cpp does not serve.
#include "kernels/attention.h"

#include <algorithm>

#include "kernels/convert.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/attention.h"
#include "kernels/math.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

const AttentionTable& table() { return for_isa(isa_v3::attention_table, isa_v4::attention_table); }

// One head of one element of the batch: where its rows and its log_sum begin.
struct Place {
  std::int64_t q, k, log_sum;

  Place(const AttentionProblem& p, std::int64_t index)
      : q((index / p.heads * p.queries * p.heads + index % p.heads) * p.channels),
        k((index / p.heads * p.keys * p.heads + index % p.heads) * p.channels),
        log_sum(index * p.queries) {}
};

// ---- Plain: a row of scores at a time.

template <class T>
struct Plain {
  using A = Computed<T>;
  const AttentionProblem& p;
  const std::int64_t row = p.heads * p.channels;

  A dot(const void* a, std::int64_t at, const void* b, std::int64_t there) const {
    A sum = 0;
    for (std::int64_t c = 0; c < p.channels; ++c)
      sum = multiply_add(static_cast<A>(static_cast<const T*>(a)[at + c]),
                         static_cast<A>(static_cast<const T*>(b)[there + c]), sum);
    return sum;
  }
  void add(A* sum, A factor, const void* x, std::int64_t at) const {
    for (std::int64_t c = 0; c < p.channels; ++c)
      sum[c] = multiply_add(factor, static_cast<A>(static_cast<const T*>(x)[at + c]), sum[c]);
  }
  void put(void* to, std::int64_t at, const A* values, A divisor) const {
    for (std::int64_t c = 0; c < p.channels; ++c)
      static_cast<T*>(to)[at + c] = T(values[c] / divisor);
  }
  A& log_sum(const Place& place, std::int64_t i) const {
    return static_cast<A*>(p.log_sum)[place.log_sum + i];
  }
  A score(const Place& place, std::int64_t i, std::int64_t j) const {
    return static_cast<A>(p.scale) * dot(p.q, place.q + i * row, p.k, place.k + j * row);
  }
  std::int64_t seen_by(std::int64_t i) const {
    return p.causal ? p.keys - p.queries + i + 1 : p.keys;
  }

  void values(const Place& place, std::int64_t i, A* sums) const {
    A largest = -__builtin_inf(), sum = 0;
    for (std::int64_t j = 0; j < seen_by(i); ++j)
      largest = std::max(largest, score(place, i, j));
    std::fill_n(sums, p.channels, A(0));
    for (std::int64_t j = 0; j < seen_by(i); ++j) {
      const A power = exp(score(place, i, j) - largest);
      sum += power;
      add(sums, power, p.v, place.k + j * row);
    }
    put(p.out, place.q + i * row, sums, sum);
    log_sum(place, i) = largest + log(sum);
  }

  struct Slopes {
    A probability, of_score;
  };
  Slopes slopes(const Place& place, std::int64_t i, std::int64_t j) const {
    const std::int64_t at = place.q + i * row;
    const A probability = exp(score(place, i, j) - log_sum(place, i));
    const A beside = dot(p.g, at, p.v, place.k + j * row) - dot(p.g, at, p.out, at);
    return {probability, probability * beside * static_cast<A>(p.scale)};
  }
  void query_gradient(const Place& place, std::int64_t i, A* sums) const {
    std::fill_n(sums, p.channels, A(0));
    for (std::int64_t j = 0; j < seen_by(i); ++j)
      add(sums, slopes(place, i, j).of_score, p.k, place.k + j * row);
    put(p.dq, place.q + i * row, sums, 1);
  }
  void key_gradients(const Place& place, std::int64_t j, A* sums) const {
    std::fill_n(sums, 2 * p.channels, A(0));
    for (std::int64_t i = p.causal ? std::max<std::int64_t>(j - p.keys + p.queries, 0) : 0;
         i < p.queries; ++i) {
      const Slopes s = slopes(place, i, j);
      add(sums, s.of_score, p.q, place.q + i * row);
      add(sums + p.channels, s.probability, p.g, place.q + i * row);
    }
    put(p.dk, place.k + j * row, sums, 1);
    put(p.dv, place.k + j * row, sums + p.channels, 1);
  }

  // Calls f(place, row, sums [2, channels]) for `rows` rows of each head.
  template <class F>
  void each(std::int64_t rows, void* workspace, F f) const {
    parallel_for(p.batch * p.heads * rows, 1, [&](std::int64_t task, std::int64_t) {
      f(Place(p, task / rows), task % rows,
        static_cast<A*>(workspace) + thread_index() * 2 * p.channels);
    });
  }
};

// ---- Fast, f32.

AttentionHead head_of(const AttentionProblem& p, std::int64_t index) {
  const Place place(p, index);
  const auto at = [](const void* base, std::int64_t offset) {
    return base ? static_cast<float*>(const_cast<void*>(base)) + offset : nullptr;
  };
  return {p.queries,
          p.keys,
          p.channels,
          p.heads * p.channels,
          p.causal,
          static_cast<float>(p.scale),
          at(p.q, place.q),
          at(p.k, place.k),
          at(p.v, place.k),
          at(p.out, place.q),
          at(p.log_sum, place.log_sum),
          at(p.g, place.q),
          at(p.dq, place.q),
          at(p.dk, place.k),
          at(p.dv, place.k)};
}

float* space_of_thread(const AttentionProblem& p, void* workspace) {
  return static_cast<float*>(workspace) +
         static_cast<std::size_t>(thread_index()) * table().workspace(p.channels);
}

// How many tasks of so many scores are worth waking a thread for.
std::int64_t grain(const AttentionProblem& p, std::int64_t scores) {
  return std::max<std::int64_t>((1 << 16) / (scores * p.channels), 1);
}

void fast_values(const AttentionProblem& p, void* workspace) {
  const std::int64_t blocks = (p.queries - 1) / attention_queries + 1;
  const std::int64_t rows = std::min(attention_queries, p.queries);
  parallel_for(p.batch * p.heads * blocks, grain(p, rows * p.keys),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t task = begin; task < end; ++task) {
                   const std::int64_t first = task % blocks * attention_queries;
                   table().values(head_of(p, task / blocks), first,
                                  std::min(attention_queries, p.queries - first),
                                  space_of_thread(p, workspace));
                 }
               });
}

// A head is one thread's: its keys and values gather from all queries.
void fast_gradients(const AttentionProblem& p, void* workspace) {
  parallel_for(p.batch * p.heads, grain(p, p.queries * p.keys),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t index = begin; index < end; ++index)
                   table().gradients(head_of(p, index), space_of_thread(p, workspace));
               });
}

std::size_t workspace(const AttentionProblem& p, int threads) {
  const auto count = static_cast<std::size_t>(threads);
  if (p.dtype == DType::f32)
    return count * table().workspace(p.channels) * sizeof(float);
  return count * 2 * static_cast<std::size_t>(p.channels) *
         (p.dtype == DType::f64 ? sizeof(double) : sizeof(float));
}

template <class F>
void with_plain(const AttentionProblem& p, F f) {
  if (p.dtype == DType::f64)
    f(Plain<double>{p});
  else
    f(Plain<bf16>{p});
}

void values(const AttentionProblem& p, void* workspace) {
  if (p.dtype == DType::f32)
    return fast_values(p, workspace);
  with_plain(p, [&](const auto& plain) {
    plain.each(p.queries, workspace, [&](const Place& place, std::int64_t i, auto* sums) {
      plain.values(place, i, sums);
    });
  });
}

void gradients(const AttentionProblem& p, void* workspace) {
  if (p.dtype == DType::f32)
    return fast_gradients(p, workspace);
  with_plain(p, [&](const auto& plain) {
    plain.each(p.queries, workspace, [&](const Place& place, std::int64_t i, auto* sums) {
      plain.query_gradient(place, i, sums);
    });
    plain.each(p.keys, workspace, [&](const Place& place, std::int64_t j, auto* sums) {
      plain.key_gradients(place, j, sums);
    });
  });
}

const Registered<AttentionBackend> registered(attention_family(), Device::cpu, Source::own,
                                              {"attention", workspace, values, gradients});

}  // namespace
}  // namespace likely::kernels
