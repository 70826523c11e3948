// Random numbers on the CPU: batches of whole Philox blocks, shared out among threads. The loops
// are in isa/random.cpp.
#include "kernels/random.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/random.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t batches_of_a_chunk = 32;

const RandomTable& table() { return for_isa(isa_v3::random_table, isa_v4::random_table); }

PhiloxStream stream_of(const RandomProblem& problem) {
  StepState state;
  std::memcpy(&state, problem.state, sizeof state);
  return philox_stream(state.seed, state.update, problem.purpose, problem.index);
}

// Calls f(batch, first element, how many) in parallel; a batch makes `made` elements.
template <class F>
void for_each_batch(std::int64_t count, std::int64_t made, F f) {
  parallel_for((count - 1) / made + 1, batches_of_a_chunk,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t batch = begin; batch < end; ++batch)
                   f(batch, batch * made, std::min(made, count - batch * made));
               });
}

// Writes whole batches in place and passes the rest through a buffer.
template <class T>
void fill_directly(const RandomProblem& problem,
                   void (*make)(const PhiloxStream&, std::int64_t, T*)) {
  const PhiloxStream stream = stream_of(problem);
  auto* out = static_cast<T*>(problem.out);
  for_each_batch(problem.count, random_batch,
                 [&](std::int64_t batch, std::int64_t at, std::int64_t count) {
                   if (count == random_batch)
                     return make(stream, batch, out + at);
                   T made[random_batch];
                   make(stream, batch, made);
                   std::copy_n(made, count, out + at);
                 });
}

// Writes f(made number, element) for every element.
template <class T, class F>
void fill_through(const RandomProblem& problem,
                  void (*make)(const PhiloxStream&, std::int64_t, float*), F f) {
  const PhiloxStream stream = stream_of(problem);
  auto* out = static_cast<T*>(problem.out);
  for_each_batch(problem.count, random_batch,
                 [&](std::int64_t batch, std::int64_t at, std::int64_t count) {
                   float made[random_batch];
                   make(stream, batch, made);
                   for (std::int64_t i = 0; i < count; ++i)
                     out[at + i] = T(f(made[i], at + i));
                 });
}

template <class T>
void fill_floating(const RandomProblem& problem) {
  const auto* given = static_cast<const T*>(problem.given);
  if (problem.kind == RandomKind::bernoulli)
    return fill_through<T>(problem, table().uniform, [given](float u, std::int64_t i) {
      return happens(u, given[i]) ? 1.0f : 0.0f;
    });
  if (problem.kind == RandomKind::dropout)
    return fill_through<T>(
        problem, table().uniform,
        [given, keep = problem.keep](float u, std::int64_t i) { return kept(u, given[i], keep); });
  const bool normal = problem.kind == RandomKind::normal;
  if constexpr (std::is_same_v<T, float>)
    fill_directly(problem, normal ? table().normal : table().uniform);
  else if (normal)
    fill_through<T>(problem, table().normal, [](float value, std::int64_t) { return value; });
  else
    fill_through<T>(problem, table().uniform,
                    [](float u, std::int64_t) { return uniform_as<T>(u); });
}

void fill_integers(const RandomProblem& problem) {
  const PhiloxStream stream = stream_of(problem);
  auto* out = static_cast<std::int64_t*>(problem.out);
  for_each_batch(problem.count, random_batch / 2,
                 [&](std::int64_t batch, std::int64_t at, std::int64_t count) {
                   std::uint32_t word[random_batch];
                   table().bits(stream, batch, word);
                   for (std::int64_t i = 0; i < count; ++i)
                     out[at + i] = integer_from(word[2 * i], word[2 * i + 1], problem.below);
                 });
}

void fill(const RandomProblem& problem) {
  if (problem.kind == RandomKind::bits)
    return fill_directly(problem, table().bits);
  if (problem.kind == RandomKind::integers)
    return fill_integers(problem);
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    if constexpr (is_floating(dtype_of<T>))
      fill_floating<T>(problem);
  });
}

const Registered<RandomBackend> registered(random_family(), Device::cpu, Source::own,
                                           {"philox", fill});

}  // namespace
}  // namespace likely::kernels
