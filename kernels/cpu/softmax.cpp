// Softmax on the CPU: rows shared out among threads. The loops are in isa/softmax.cpp.
#include "kernels/softmax.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/softmax.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

// Rows that are worth a thread's while.
std::int64_t grain(std::int64_t columns) { return std::max<std::int64_t>((1 << 13) / columns, 1); }

// Calls f with the loops of a type.
template <class F>
void with_loops(DType dtype, F f) {
  const SoftmaxTable& table = for_isa(isa_v3::softmax_table, isa_v4::softmax_table);
  if (dtype == DType::f32)
    f(table.f32);
  else if (dtype == DType::f64)
    f(table.f64);
  else
    f(table.bf16);
}

void fill(const SoftmaxProblem& problem) {
  with_loops(problem.dtype, [&]<class S, class A>(const SoftmaxLoops<S, A>& loops) {
    const auto* x = static_cast<const S*>(problem.x);
    auto* out = static_cast<S*>(problem.out);
    auto* sums = static_cast<A*>(problem.log_sum_exp);
    const bool number = problem.kind == SoftmaxKind::log_sum_exp;
    const auto rows_of = problem.kind == SoftmaxKind::softmax       ? loops.softmax
                         : problem.kind == SoftmaxKind::log_softmax ? loops.log_softmax
                                                                    : loops.log_sum_exp;
    parallel_for(problem.rows, grain(problem.columns), [&](std::int64_t begin, std::int64_t end) {
      const S* rows = x + begin * problem.columns;
      if (problem.kind == SoftmaxKind::log_prob)
        loops.log_prob(rows, end - begin, problem.columns, problem.index + begin, out + begin,
                       sums + begin);
      else
        rows_of(rows, end - begin, problem.columns, out + begin * (number ? 1 : problem.columns));
    });
  });
}

void log_prob_gradient(const LogProbGradientProblem& problem) {
  with_loops(problem.dtype, [&]<class S, class A>(const SoftmaxLoops<S, A>& loops) {
    parallel_for(problem.rows, grain(problem.columns), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t at = begin * problem.columns;
      loops.log_prob_gradient(
          static_cast<const S*>(problem.g) + begin, static_cast<const S*>(problem.logits) + at,
          end - begin, problem.columns, problem.index + begin,
          static_cast<const A*>(problem.log_sum_exp) + begin, static_cast<S*>(problem.out) + at);
    });
  });
}

void sample(const CategoricalProblem& problem) {
  StepState state;
  std::memcpy(&state, problem.state, sizeof state);
  const PhiloxStream stream =
      philox_stream(state.seed, state.update, problem.purpose, problem.draw_index);
  with_loops(problem.dtype, [&]<class S, class A>(const SoftmaxLoops<S, A>& loops) {
    parallel_for(problem.rows, grain(problem.columns), [&](std::int64_t begin, std::int64_t end) {
      loops.sample(static_cast<const S*>(problem.logits), begin, end, problem.columns, stream,
                   problem.out);
    });
  });
}

const Registered<SoftmaxBackend> registered(softmax_family(), Device::cpu, Source::own,
                                            {"softmax", fill, log_prob_gradient, sample});

}  // namespace
}  // namespace likely::kernels
