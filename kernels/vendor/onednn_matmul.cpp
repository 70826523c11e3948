// oneDNN's matmul on the CPU.
#include <array>
#include <bit>

#include "kernels/matmul.h"
#include "kernels/vendor/onednn.h"

namespace likely::kernels {
namespace {

using namespace onednn;

// A primitive and the descriptors it was made for.
struct Primitive {
  memory::desc a, b, c, bias;
  dnnl::matmul::primitive_desc description;
  dnnl::matmul execute;
};

memory::desc matrix(const MatmulProblem& p, std::array<std::int64_t, 3> extents,
                    std::array<std::int64_t, 3> strides) {
  const int first = p.batch == 1 ? 1 : 0;  // without a batch, matrices
  return {memory::dims(extents.begin() + first, extents.end()), type_of(p.dtype),
          memory::dims(strides.begin() + first, strides.end())};
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
    const dnnl::matmul::desc what = p.biased
                                        ? dnnl::matmul::desc(made->a, made->b, made->bias, made->c)
                                        : dnnl::matmul::desc(made->a, made->b, made->c);
    made->description = dnnl::matmul::primitive_desc(what, attributes_of(p), engine());
    made->execute = dnnl::matmul(made->description);
    return made;
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

std::shared_ptr<const Primitive> primitive_for(const MatmulProblem& p) {
  static Kept<std::array<std::int64_t, 17>, Primitive> kept;
  return kept.get(
      {p.batch, p.m, p.n, p.k, static_cast<int>(p.dtype), p.a_batch, p.a_row, p.a_column, p.b_batch,
       p.b_row, p.b_column, p.c_batch, p.c_row, p.add + 2 * p.biased + 4 * p.tf32,
       static_cast<int>(p.activation), std::bit_cast<std::int64_t>(p.slope), told_threads()},
      [&] { return make(p); });
}

bool serves(const MatmulProblem& problem) {
  return problem.plan == 0 && primitive_for(problem) != nullptr;
}

std::size_t workspace(const MatmulProblem& problem, int) {
  return primitive_for(problem)->description.scratchpad_desc().get_size();
}

void fill(const MatmulProblem& problem, void* workspace) {
  const std::shared_ptr<const Primitive> primitive = primitive_for(problem);
  Arguments arguments = {
      {DNNL_ARG_SRC, at(primitive->a, problem.a)},
      {DNNL_ARG_WEIGHTS, at(primitive->b, problem.b)},
      {DNNL_ARG_DST, at(primitive->c, problem.c)},
      {DNNL_ARG_SCRATCHPAD, at(primitive->description.scratchpad_desc(), workspace)}};
  if (problem.biased)
    arguments.emplace(DNNL_ARG_BIAS, at(primitive->bias, problem.bias));
  execute(primitive->execute, arguments);
}

const Registered registered{matmul_family(), Device::cpu, Source::vendor,
                            MatmulBackend{"matmul oneDNN", serves, workspace, fill}};

}  // namespace

// 20603 for 2.6.3, as NVIDIA's libraries say theirs.
extern "C" std::size_t likely_onednn_version() {
  const dnnl_version_t& it = *dnnl_version();
  return static_cast<std::size_t>(10000 * it.major + 100 * it.minor + it.patch);
}

}  // namespace likely::kernels
