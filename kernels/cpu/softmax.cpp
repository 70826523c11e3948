// Softmax on the CPU: rows shared out among threads. The loops are in isa/softmax.cpp.
#include "kernels/softmax.h"

#include <algorithm>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/softmax.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

template <class S>
void fill_with(const SoftmaxProblem& problem, const SoftmaxLoops<S>& loops) {
  const auto* x = static_cast<const S*>(problem.x);
  auto* out = static_cast<S*>(problem.out);
  const std::int64_t step = problem.kind == SoftmaxKind::log_sum_exp ? 1 : problem.columns;
  const auto rows_of = problem.kind == SoftmaxKind::softmax       ? loops.softmax
                       : problem.kind == SoftmaxKind::log_softmax ? loops.log_softmax
                                                                  : loops.log_sum_exp;
  parallel_for(problem.rows, std::max<std::int64_t>((1 << 13) / problem.columns, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 rows_of(x + begin * problem.columns, end - begin, problem.columns,
                         out + begin * step);
               });
}

void fill(const SoftmaxProblem& problem) {
  const SoftmaxTable& table = for_isa(isa_v3::softmax_table, isa_v4::softmax_table);
  if (problem.dtype == DType::f32)
    fill_with(problem, table.f32);
  else if (problem.dtype == DType::f64)
    fill_with(problem, table.f64);
  else
    fill_with(problem, table.bf16);
}

const Registered<SoftmaxBackend> registered(softmax_family(), Device::cpu, Source::own,
                                            {"softmax", fill});

}  // namespace
}  // namespace likely::kernels
