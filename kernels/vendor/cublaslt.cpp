// cuBLASLt's products on a GPU: a module of its own, so that likely starts where the library is
// missing.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "kernels/fastest.h"
#include "kernels/matmul.h"
#include "kernels/vendor/gpu.h"
#include "kernels/vendor/kept.h"
#include "kernels/vendor/proofs.h"

namespace likely::kernels {
namespace {

constexpr std::size_t most_workspace = std::size_t{32} << 20;  // as NVIDIA advises for Hopper

void check(cublasStatus_t status) {
  require(status == CUBLAS_STATUS_SUCCESS, "matmul: cuBLASLt reports {}. Try --kernels matmul=own.",
          cublasLtGetStatusString(status));
}

cublasLtHandle_t handle() {
  return handle_of_gpu<cublasLtHandle_t>(
      [](cublasLtHandle_t* made) { check(cublasLtCreate(made)); });
}

// A matrix as cuBLAS sees it: adjacent down its columns, perhaps transposed.
struct Operand {
  cublasOperation_t operation;
  std::int64_t rows, columns, leading;
};
std::optional<Operand> operand(std::int64_t rows, std::int64_t columns, std::int64_t row_step,
                               std::int64_t column_step) {
  if (rows == 1)  // an axis of one element has any step
    row_step = std::max(columns, row_step);
  if (columns == 1)
    column_step = std::max(rows, column_step);
  const Operand plain{CUBLAS_OP_N, rows, columns, column_step};
  const Operand transposed{CUBLAS_OP_T, columns, rows, row_step};
  if (row_step == 1 && column_step >= rows)
    return plain;
  if (column_step == 1 && row_step >= columns)
    return transposed;
  if (rows == 1 && column_step > 0)  // a vector with gaps
    return plain;
  if (columns == 1 && row_step > 0)
    return transposed;
  return std::nullopt;
}

std::optional<cublasLtEpilogue_t> epilogue(const MatmulProblem& p) {
  if (p.activation == Activation::none)
    return p.biased ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  if (p.activation == Activation::relu)
    return p.biased ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  return std::nullopt;
}

// cuBLAS thinks in columns, where c is its transpose: cᵀ = bᵀ aᵀ, and the bias one value a row.
struct Product {
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t b, a, c;

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    check(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof(value)));
  }
};

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::f32 ? CUDA_R_32F : dtype == DType::f64 ? CUDA_R_64F : CUDA_R_16BF;
}

void lay_out(cublasLtMatrixLayoutOpaque_t& layout, const Operand& matrix, const MatmulProblem& p,
             std::int64_t batch_step) {
  check(cublasLtMatrixLayoutInit(&layout, type_of(p.dtype), static_cast<std::uint64_t>(matrix.rows),
                                 static_cast<std::uint64_t>(matrix.columns), matrix.leading));
  const auto batch = static_cast<std::int32_t>(p.batch);
  check(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                         sizeof(batch)));
  check(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                         &batch_step, sizeof(batch_step)));
}

// Nothing where a layout or an activation does not fit.
std::optional<Product> product(const MatmulProblem& p) {
  const auto b = operand(p.n, p.k, p.b_column, p.b_row), a = operand(p.k, p.m, p.a_column, p.a_row);
  const auto end = epilogue(p);
  if (!a || !b || !end || p.k == 0 || p.batch > INT32_MAX)
    return std::nullopt;
  const bool f64 = p.dtype == DType::f64;
  Product made{};
  check(cublasLtMatmulDescInit(&made.operation,
                               f64      ? CUBLAS_COMPUTE_64F
                               : p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                        : CUBLAS_COMPUTE_32F,
                               f64 ? CUDA_R_64F : CUDA_R_32F));
  made.set(CUBLASLT_MATMUL_DESC_TRANSA, b->operation);
  made.set(CUBLASLT_MATMUL_DESC_TRANSB, a->operation);
  made.set(CUBLASLT_MATMUL_DESC_EPILOGUE, *end);
  if (p.biased)
    made.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  lay_out(made.b, *b, p, p.b_batch);
  lay_out(made.a, *a, p, p.a_batch);
  lay_out(made.c, {CUBLAS_OP_N, p.n, p.m, std::max(p.n, p.c_row)}, p, p.c_batch);
  return made;
}

struct Plan {
  cublasLtMatmulAlgo_t algorithm;
  std::size_t workspace;
};

// The heuristic's plan of that number, of those whose sums are in f32 and always in the same order:
// none that adds parts of k to the result in place.
std::unique_ptr<Plan> make(const MatmulProblem& p) {
  auto made = product(p);
  if (!made)
    return nullptr;
  cublasLtMatmulPreferenceOpaque_t preference{};
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof(value)));
  };
  check(cublasLtMatmulPreferenceInit(&preference));
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{most_workspace});
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
         std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(alignment(p.b)));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(alignment(p.a)));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(alignment(p.c)));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(alignment(p.c)));
  std::array<cublasLtMatmulHeuristicResult_t, most_plans> found{};
  int count = 0;
  if (cublasLtMatmulAlgoGetHeuristic(handle(), &made->operation, &made->b, &made->a, &made->c,
                                     &made->c, &preference, static_cast<int>(found.size()),
                                     found.data(), &count) != CUBLAS_STATUS_SUCCESS)
    return nullptr;
  for (int i = 0, left = p.plan; i < count; ++i)
    if (found[i].state == CUBLAS_STATUS_SUCCESS && found[i].workspaceSize <= most_workspace &&
        left-- == 0)
      return std::make_unique<Plan>(Plan{found[i].algo, found[i].workspaceSize});
  return nullptr;
}

std::shared_ptr<const Plan> plan_for(const MatmulProblem& p) {
  static auto& kept = *new Kept<std::array<std::int64_t, 20>, Plan>;
  return kept.get({current_device().index,
                   p.batch,
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
                   alignment(p.a),
                   alignment(p.b),
                   alignment(p.c),
                   p.plan},
                  [&] { return make(p); });
}

bool serves(const MatmulProblem& problem) {
  return opened_cuda() == Cuda::gpu && plan_for(problem) != nullptr;
}

std::size_t workspace(const MatmulProblem& problem, int) { return plan_for(problem)->workspace; }

const VendorPaths paths{
    "matmul", vendor_products, "cuBLASLt", {DType::f32, DType::f64, DType::bf16}, "cuBLASLt tf32"};

void fill(const MatmulProblem& p, void* workspace) {
  paths.use(p.dtype, p.tf32);
  const auto plan = plan_for(p);
  require(plan != nullptr,
          "matmul: cuBLASLt has nothing for one part of a product. Try --kernels matmul=own.");
  auto what = product(p);
  const double f64[] = {1, p.add ? 1. : 0.};
  const float f32[] = {1, p.add ? 1.f : 0.f};
  const bool wide = p.dtype == DType::f64;
  const void* one = wide ? static_cast<const void*>(f64) : f32;
  const void* start = wide ? static_cast<const void*>(f64 + 1) : f32 + 1;
  auto* stream = static_cast<cudaStream_t>(current_stream());
  check(cublasLtMatmul(handle(), &what->operation, one, p.b, &what->b, p.a, &what->a, start, p.c,
                       &what->c, p.c, &what->c, &plan->algorithm, workspace, plan->workspace,
                       stream));
}

const Registered registered{matmul_family(), Device::cuda, Source::vendor,
                            MatmulBackend{"matmul cuBLASLt", serves, workspace, fill}};

}  // namespace
}  // namespace likely::kernels
