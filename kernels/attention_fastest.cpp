#include "kernels/attention_fastest.h"

#include "kernels/fastest.h"
#include "kernels/parallel.h"

namespace likely::kernels {

Winner fastest_attention(const AttentionProblem& p, const AttentionBackend& own,
                         const AttentionBackend& vendor) {
  using P = AttentionProblem;
  const DType statistic = p.dtype == DType::f64 ? DType::f64 : DType::f32;
  const std::int64_t rows = p.batch * p.heads * p.queries;
  const std::int64_t of_queries = rows * p.channels;
  const std::int64_t of_keys = p.batch * p.heads * p.keys * p.channels;
  Contest contest{"attention",
                  fmt::format("attention {} {} {}x{} by {} of {}x{}{} scale {}{}",
                              p.gradients ? "gradients" : "values", p.dtype, p.batch, p.queries,
                              p.keys, p.heads, p.channels, p.causal ? " causal" : "", p.scale,
                              alignments({p.q, p.k, p.v, p.g, p.out})),
                  p.dtype,
                  false,
                  false,
                  {}};
  const auto workspace = [](const AttentionBackend& by, const P& q) {
    return by.workspace(q, threads());
  };
  if (p.gradients) {
    contest.results = {{p.dtype, of_queries, p.keys, p.dq},
                       {p.dtype, of_keys, p.queries, p.dk},
                       {p.dtype, of_keys, p.queries, p.dv}};
    return winner_of(
        contest, p, own, vendor, {&P::dq, &P::dk, &P::dv}, workspace,
        [](const AttentionBackend& by, const P& q, void* memory) { by.gradients(q, memory); });
  }
  contest.results = {{p.dtype, of_queries, p.keys, p.out}, {statistic, rows, p.keys, p.log_sum}};
  return winner_of(
      contest, p, own, vendor, {&P::out, &P::log_sum}, workspace,
      [](const AttentionBackend& by, const P& q, void* memory) { by.values(q, memory); });
}

}  // namespace likely::kernels
