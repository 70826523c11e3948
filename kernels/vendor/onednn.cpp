// oneDNN's matmul on the CPU: a module of its own, so that likely starts where libdnnl is missing.
#include <omp.h>

#include <array>
#include <bit>
#include <dnnl.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "kernels/matmul.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

using dnnl::memory;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// A primitive and the descriptors it was made for.
struct Primitive {
  memory::desc a, b, c, bias;
  dnnl::matmul::primitive_desc description;
  dnnl::matmul execute;
};

memory::desc matrix(const MatmulProblem& p, std::array<std::int64_t, 3> extents,
                    std::array<std::int64_t, 3> strides) {
  const int first = p.batch == 1 ? 1 : 0;  // without a batch, matrices
  const auto type = p.dtype == DType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
  return {memory::dims(extents.begin() + first, extents.end()), type,
          memory::dims(strides.begin() + first, strides.end())};
}

dnnl::post_ops epilogue(const MatmulProblem& p) {
  dnnl::post_ops operations;
  if (p.add)
    operations.append_sum(1);
  if (p.activation == Activation::relu)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
  if (p.activation == Activation::leaky_relu)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_relu, p.slope, 0);
  if (p.activation == Activation::tanh)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_tanh, 0, 0);
  if (p.activation == Activation::sigmoid)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_logistic, 0, 0);
  return operations;
}

// Null where oneDNN has nothing for the problem; it says so by an exception.
std::unique_ptr<Primitive> make(const MatmulProblem& p) {
  if (p.dtype == DType::f64 || p.tf32 || p.k == 0)
    return nullptr;
  try {
    auto made = std::make_unique<Primitive>();
    const bool shared = p.b_batch == 0;  // one b for all: an extent of 1, which broadcasts
    made->a = matrix(p, {p.batch, p.m, p.k}, {p.a_batch, p.a_row, p.a_column});
    made->b = matrix(p, {shared ? 1 : p.batch, p.k, p.n},
                     {shared ? p.k * p.n : p.b_batch, p.b_row, p.b_column});
    made->c = matrix(p, {p.batch, p.m, p.n}, {p.c_batch, p.c_row, 1});
    if (p.biased)
      made->bias = matrix(p, {1, 1, p.n}, {p.n, p.n, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attributes.set_post_ops(epilogue(p));
    const dnnl::matmul::desc what = p.biased
                                        ? dnnl::matmul::desc(made->a, made->b, made->bias, made->c)
                                        : dnnl::matmul::desc(made->a, made->b, made->c);
    made->description = dnnl::matmul::primitive_desc(what, attributes, engine());
    made->execute = dnnl::matmul(made->description);
    return made;
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

// Making one costs milliseconds, so they are kept by everything that they depend on.
std::shared_ptr<const Primitive> primitive_for(const MatmulProblem& p) {
  constexpr std::size_t kept_at_most = 512;
  static std::mutex mutex;
  static std::map<std::array<std::int64_t, 17>, std::shared_ptr<const Primitive>> kept;
  const std::array<std::int64_t, 17> key = {p.batch,
                                            p.m,
                                            p.n,
                                            p.k,
                                            static_cast<int>(p.dtype),
                                            p.a_batch,
                                            p.a_row,
                                            p.a_column,
                                            p.b_batch,
                                            p.b_row,
                                            p.b_column,
                                            p.c_batch,
                                            p.c_row,
                                            p.add + 2 * p.biased + 4 * p.tf32,
                                            static_cast<int>(p.activation),
                                            std::bit_cast<std::int32_t>(p.slope),
                                            threads()};
  if (omp_get_max_threads() != threads())
    omp_set_num_threads(threads());  // oneDNN asks OpenMP, when it makes and when it executes
  const std::lock_guard lock(mutex);
  const auto found = kept.find(key);
  if (found != kept.end())
    return found->second;
  if (kept.size() == kept_at_most)
    kept.clear();
  return kept[key] = make(p);
}

bool serves(const MatmulProblem& problem) { return primitive_for(problem) != nullptr; }

std::size_t workspace(const MatmulProblem& problem, int) {
  return primitive_for(problem)->description.scratchpad_desc().get_size();
}

void fill(const MatmulProblem& problem, void* workspace) {
  const std::shared_ptr<const Primitive> primitive = primitive_for(problem);
  const auto at = [](const memory::desc& description, const void* data) {
    return memory(description, engine(), const_cast<void*>(data));
  };
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, at(primitive->a, problem.a)},
      {DNNL_ARG_WEIGHTS, at(primitive->b, problem.b)},
      {DNNL_ARG_DST, at(primitive->c, problem.c)},
      {DNNL_ARG_SCRATCHPAD, at(primitive->description.scratchpad_desc(), workspace)}};
  if (problem.biased)
    arguments.emplace(DNNL_ARG_BIAS, at(primitive->bias, problem.bias));
  dnnl::stream stream(engine());
  primitive->execute.execute(stream, arguments);
  stream.wait();
}

const Registered registered{matmul_family(), Device::cpu, Source::vendor,
                            MatmulBackend{"matmul oneDNN", serves, workspace, fill}};

}  // namespace
}  // namespace likely::kernels
