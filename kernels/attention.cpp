// The front of attention: checks, and contiguous tensors for the backend.
#include "kernels/attention.h"

#include <cmath>

#include "kernels/attention_fastest.h"
#include "kernels/choice.h"
#include "kernels/copy.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

DType log_sum_type(const Tensor& q) { return q.dtype() == DType::f64 ? DType::f64 : DType::f32; }

Tensor like(const char* operation, const char* name, const Tensor& given, const Shape& shape,
            DType dtype, const Tensor& q) {
  require(given.defined() && given.shape() == shape && given.dtype() == dtype &&
              given.device() == q.device(),
          "{}: {} must be {} {} on {}, for q {} {}.", operation, name, dtype, shape, q.device(),
          q.dtype(), q.shape());
  return contiguous(given);
}

// The operands, kept alive here while their pointers are used.
struct AttentionOperands {
  Tensor q, k, v;
  Shape rows;  // [batch, heads, queries]
  AttentionProblem problem{};

  AttentionOperands(const char* operation, const Tensor& queries, const Tensor& keys,
                    const Tensor& values, const AttentionOptions& how) {
    require(queries.defined() && keys.defined() && values.defined(),
            "{}: q, k or v is undefined. Give three tensors.", operation);
    require(is_floating(queries.dtype()),
            "{}: {} has no exponentials: only floating-point types have. Use cast() first.",
            operation, queries.dtype());
    require(queries.rank() == 4 && keys.rank() == 4 &&
                keys.shape() == queries.shape().with(1, keys.size(1)),
            "{}: q is {}, k {}. Give them as [batch, queries, heads, channels] and [batch, keys, "
            "heads, channels].",
            operation, queries.shape(), keys.shape());
    require(!how.causal || keys.size(1) >= queries.size(1),
            "{}: causal, but q is {} and k {}: the first queries would see nothing. Give at least "
            "as many keys as queries.",
            operation, queries.shape(), keys.shape());
    require(keys.size(1) > 0 || queries.numel() == 0,
            "{}: there is no mean of no values: k is {}. Give one key or more.", operation,
            keys.shape());
    q = contiguous(queries);
    k = like(operation, "k", keys, keys.shape(), q.dtype(), q);
    v = like(operation, "v", values, keys.shape(), q.dtype(), q);
    rows = {q.size(0), q.size(2), q.size(1)};
    problem.dtype = q.dtype();
    problem.batch = q.size(0);
    problem.queries = q.size(1);
    problem.keys = k.size(1);
    problem.heads = q.size(2);
    problem.channels = q.size(3);
    problem.causal = how.causal;
    problem.scale = how.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))));
    if (q.is_meta())
      return;
    problem.q = q.raw();
    problem.k = k.raw();
    problem.v = v.raw();
  }

  // Products of all scores, each of them over the channels.
  double flops(int products) const {
    const double all = static_cast<double>(problem.queries) * problem.keys;
    const double n = problem.queries, unseen = problem.causal ? n * (n - 1) / 2 : 0;
    return 2.0 * products * rows[0] * rows[1] * (all - unseen) * problem.channels;
  }

  // Runs what a backend has for the problem, with its workspace.
  void run(void (*AttentionBackend::*what)(const AttentionProblem&, void*), double flops,
           double traffic) const {
    AttentionProblem planned = problem;
    const AttentionBackend& backend =
        attention_family().serving(q.device(), planned, fastest_attention);
    require<UsageError>(
        problem.dtype == DType::bf16 || !named_for_vendor("attention") ||
            !attention_family().find(q.device(), Source::vendor),
        "attention: the vendor's reads bf16 alone, these are {}. Take --precision bf16, or leave "
        "attention to own.",
        problem.dtype);
    launched({backend.name, flops, traffic});
    const auto bytes = static_cast<std::int64_t>(backend.workspace(planned, threads()));
    const Tensor workspace = bytes ? Tensor::empty({bytes}, DType::u8, q.device()) : Tensor();
    if (!q.is_meta())
      (backend.*what)(planned, bytes ? workspace.raw() : nullptr);
  }
};

double bytes_of(std::initializer_list<Tensor> tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors)
    bytes += static_cast<double>(tensor.bytes());
  return bytes;
}
}  // namespace

Family<AttentionBackend>& attention_family() {
  static Family<AttentionBackend> family("attention");
  return family;
}

Attended attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& how) {
  AttentionOperands of("attention", q, k, v, how);
  const Attended y{Tensor::empty(q.shape(), q.dtype(), q.device()),
                   Tensor::empty(of.rows, log_sum_type(q), q.device())};
  if (q.numel() == 0)
    return y;
  of.problem.out = raw_or_null(y.out);
  of.problem.log_sum = raw_or_null(y.log_sum);
  of.run(&AttentionBackend::values, of.flops(2), bytes_of({q, k, v, y.out, y.log_sum}));
  return y;
}

AttentionGradients attention_gradients(const Tensor& g, const Attended& y, const Tensor& q,
                                       const Tensor& k, const Tensor& v,
                                       const AttentionOptions& how) {
  const char* const operation = "attention_gradients";
  AttentionOperands of(operation, q, k, v, how);
  const Tensor cotangent = like(operation, "g", g, q.shape(), q.dtype(), q);
  const Tensor out = like(operation, "out", y.out, q.shape(), q.dtype(), q);
  const Tensor log_sum = like(operation, "log_sum", y.log_sum, of.rows, log_sum_type(q), q);
  const auto made = q.numel() == 0 ? zeros : [](const Shape& shape, DType dtype, Device device) {
    return Tensor::empty(shape, dtype, device);
  };
  const AttentionGradients d{made(q.shape(), q.dtype(), q.device()),
                             made(k.shape(), q.dtype(), q.device()),
                             made(k.shape(), q.dtype(), q.device())};
  if (q.numel() == 0)
    return d;
  of.problem.out = raw_or_null(out);
  of.problem.log_sum = raw_or_null(log_sum);
  of.problem.g = raw_or_null(cotangent);
  of.problem.dq = raw_or_null(d.q);
  of.problem.dk = raw_or_null(d.k);
  of.problem.dv = raw_or_null(d.v);
  of.problem.gradients = true;
  of.run(&AttentionBackend::gradients, of.flops(5),
         bytes_of({q, k, v, g, out, log_sum, d.q, d.k, d.v}));
  return d;
}

}  // namespace likely::kernels
