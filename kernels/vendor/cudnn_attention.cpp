// cuDNN's attention on a GPU: a graph of plain operations that it knows as one kernel, for bf16.
#include <array>

#include "kernels/attention.h"
#include "kernels/vendor/cudnn.h"
#include "kernels/vendor/kept.h"
#include "kernels/vendor/proofs.h"

namespace likely::kernels {
namespace {

using namespace cudnn;

enum Name : std::int64_t { q_, k_, v_, out_, log_sum_, scale_, g_, dq_, dk_, dv_, one_, sums_ };

// The tensors, in cuDNN's order [batch, heads, rows, columns].
struct Tensors {
  const AttentionProblem& p;
  std::int64_t count = 100;  // names of values on the way

  TensorOf rows(std::int64_t name, std::int64_t length) const {
    return {name,
            CUDNN_DATA_BFLOAT16,
            {p.batch, p.heads, length, p.channels},
            {length * p.heads * p.channels, p.channels, p.heads * p.channels, 1}};
  }
  TensorOf queries(std::int64_t name) const { return rows(name, p.queries); }
  TensorOf keys(std::int64_t name) const { return rows(name, p.keys); }
  TensorOf transposed(TensorOf of) const {
    std::swap(of.extents[2], of.extents[3]);
    std::swap(of.strides[2], of.strides[3]);
    return of;
  }
  TensorOf per_query(std::int64_t name) const {
    return {name,
            CUDNN_DATA_FLOAT,
            {p.batch, p.heads, p.queries, 1},
            {p.heads * p.queries, p.queries, 1, 1}};
  }
  TensorOf number(std::int64_t name) const {
    return {name, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, Lies::on_the_host};
  }

  TensorOf on_the_way(TensorOf like, cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    like.name = count++;
    like.type = type;
    like.lies = Lies::nowhere;
    return like;
  }
  TensorOf scores() {
    const std::int64_t all = p.queries * p.keys;
    return on_the_way(
        {0, {}, {p.batch, p.heads, p.queries, p.keys}, {p.heads * all, all, p.keys, 1}});
  }
};

Operations values_graph(const AttentionProblem& p) {
  Tensors t{p};
  const TensorOf products = t.scores(), scores = t.scores(), apart = t.scores();
  const TensorOf terms = t.scores(), largest = t.on_the_way(t.per_query(0));
  const TensorOf sum = t.on_the_way(largest), log = t.on_the_way(largest);
  const TensorOf shares = t.on_the_way(scores, CUDNN_DATA_BFLOAT16);
  Operations graph;
  graph.product(t.queries(q_), t.transposed(t.keys(k_)), products);
  graph.pointwise(CUDNN_POINTWISE_MUL, products, t.number(scale_), scores);
  graph.reduce(CUDNN_REDUCE_TENSOR_MAX, scores, largest);
  graph.pointwise(CUDNN_POINTWISE_SUB, scores, largest, apart);
  graph.pointwise(CUDNN_POINTWISE_EXP, apart, terms);
  graph.reduce(CUDNN_REDUCE_TENSOR_ADD, terms, sum);
  graph.pointwise(CUDNN_POINTWISE_LOG, sum, log);
  graph.pointwise(CUDNN_POINTWISE_ADD, largest, log, t.per_query(log_sum_));
  graph.pointwise(CUDNN_POINTWISE_DIV, terms, sum, shares);
  graph.product(shares, t.keys(v_), t.queries(out_));
  return graph;
}

// dq is written at once, not added up in f32 by blocks in any order: the form that cuDNN computes
// with the same bits every time.
Operations gradients_graph(const AttentionProblem& p) {
  Tensors t{p};
  const TensorOf queries = t.queries(0), scores = t.scores();
  const TensorOf by_keys = t.transposed(t.on_the_way(scores, CUDNN_DATA_BFLOAT16));
  Operations graph;
  const TensorOf products = t.on_the_way(queries), of_row = t.on_the_way(t.per_query(0));
  TensorOf packed = products;
  packed.strides = {p.heads * p.queries * p.channels, p.queries * p.channels, p.heads * p.channels,
                    1};
  graph.pointwise(CUDNN_POINTWISE_MUL, t.queries(g_), t.queries(out_), packed);
  graph.reduce(CUDNN_REDUCE_TENSOR_ADD, packed, of_row);
  graph.pointwise(CUDNN_POINTWISE_MUL, of_row, t.number(one_), t.per_query(sums_));

  const TensorOf scaled = t.scores(), apart = t.scores(), shares = t.scores();
  graph.product(t.queries(q_), t.transposed(t.keys(k_)), scores);
  graph.pointwise(CUDNN_POINTWISE_MUL, scores, t.number(scale_), scaled);
  graph.pointwise(CUDNN_POINTWISE_SUB, scaled, t.per_query(log_sum_), apart);
  graph.pointwise(CUDNN_POINTWISE_EXP, apart, shares);
  const TensorOf shares_by_keys = t.on_the_way(by_keys, CUDNN_DATA_BFLOAT16);
  graph.reshape(shares, shares_by_keys);
  graph.product(shares_by_keys, t.queries(g_), t.keys(dv_));

  const TensorOf of_shares = t.scores(), centred = t.scores(), by_share = t.scores();
  const TensorOf slopes = t.scores();
  graph.product(t.queries(g_), t.transposed(t.keys(v_)), of_shares);
  graph.pointwise(CUDNN_POINTWISE_SUB, of_shares, t.per_query(sums_), centred);
  graph.pointwise(CUDNN_POINTWISE_MUL, centred, shares, by_share);
  graph.pointwise(CUDNN_POINTWISE_MUL, by_share, t.number(scale_), slopes);
  const TensorOf slopes_by_keys = t.on_the_way(by_keys, CUDNN_DATA_BFLOAT16);
  graph.reshape(slopes, slopes_by_keys);
  graph.product(slopes_by_keys, t.queries(q_), t.keys(dk_));
  const TensorOf keys = t.on_the_way(t.keys(0), CUDNN_DATA_BFLOAT16);
  graph.reshape(t.transposed(t.keys(k_)), keys);
  graph.product(slopes, keys, t.queries(dq_));
  return graph;
}

std::unique_ptr<Plan> make(const AttentionProblem& p, Described gpu = nullptr) {
  if (p.dtype != DType::bf16 || p.causal)
    return nullptr;
  return (p.gradients ? gradients_graph(p) : values_graph(p)).plan(false, gpu, p.plan);
}

std::shared_ptr<const Plan> plan_for(const AttentionProblem& p) {
  static auto& kept = *new Kept<std::array<std::int64_t, 10>, Plan>;
  return kept.get({current_device().index, p.gradients, static_cast<int>(p.dtype), p.causal,
                   p.batch, p.queries, p.keys, p.heads, p.channels, p.plan},
                  [&] { return make(p); });
}

bool serves(const AttentionProblem& p) {
  for (const void* address : {p.q, p.k, p.v, p.g, static_cast<const void*>(p.out)})
    if (alignment(address) != 16)
      return false;
  return opened_cuda() == Cuda::gpu && plan_for(p) != nullptr;
}

// In front of the plan's: a sum a query, of the gradients.
std::int64_t bytes_of_sums(const AttentionProblem& p) {
  return p.gradients ? (p.batch * p.heads * p.queries * 4 + 255) / 256 * 256 : 0;
}

std::size_t workspace(const AttentionProblem& p, int) {
  return static_cast<std::size_t>(bytes_of_sums(p) + plan_for(p)->workspace);
}

const VendorPaths paths{"attention", vendor_attention, "cuDNN", {DType::bf16}};

void values(const AttentionProblem& p, void* workspace) {
  paths.use(p.dtype);
  const float scale = static_cast<float>(p.scale);
  execute(*plan_for(p), {q_, k_, v_, out_, log_sum_, scale_},
          {p.q, p.k, p.v, p.out, p.log_sum, &scale}, workspace);
}

void gradients(const AttentionProblem& p, void* workspace) {
  paths.use(p.dtype);
  const float scale = static_cast<float>(p.scale), one = 1;
  execute(*plan_for(p), {q_, k_, v_, out_, log_sum_, g_, dq_, dk_, dv_, scale_, one_, sums_},
          {p.q, p.k, p.v, p.out, p.log_sum, p.g, p.dq, p.dk, p.dv, &scale, &one, workspace},
          static_cast<std::byte*>(workspace) + bytes_of_sums(p));
}

const Registered registered{
    attention_family(), Device::cuda, Source::vendor,
    AttentionBackend{"attention cuDNN", workspace, values, gradients, serves}};

}  // namespace

// For tests where there is no GPU: the notes of the plan for one that cuDNN is told of as JSON, -1
// where there is none.
extern "C" int likely_cudnn_attention(const AttentionProblem& problem, const std::string& gpu) {
  const Descriptor of = described(gpu);
  const auto made = make(problem, &of);
  return made ? static_cast<int>(made->notes) : -1;
}

}  // namespace likely::kernels
