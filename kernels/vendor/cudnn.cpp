#include "kernels/vendor/cudnn.h"

#include <array>
#include <numeric>

namespace likely::kernels::cudnn {
namespace {

// A bit for each of the notes on what an engine does with numbers.
unsigned notes_of(const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t it = engine.raw();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &it);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes;
  const std::int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                        notes.data(), notes.size());
  return std::accumulate(
      notes.begin(), notes.begin() + count, 0u,
      [](unsigned all, cudnnBackendNumericalNote_t note) { return all | 1u << note; });
}

// Whether an engine computes what was asked for.
bool fits(bool strict, unsigned notes) {
  constexpr unsigned never = 1u << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC |
                             1u << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS |
                             1u << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
  return !(notes & never) && !(strict && notes & 1u << CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

bool build(Plan& plan, const Descriptor& configuration, Described gpu) {
  if (gpu)
    plan.execute.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *gpu);
  else
    plan.execute.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {handle()});
  plan.execute.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (!plan.execute.finish())
    return false;
  plan.execute.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &plan.workspace);
  return true;
}

// What the heuristics propose, the best first.
std::vector<Descriptor> proposals(const Descriptor& graph, Described gpu,
                                  cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  if (gpu)
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *gpu);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {mode});
  std::vector<Descriptor> found;
  if (!heuristic.finish())
    return found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int i = 0; i < 64; ++i)
    raw.push_back(found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  const std::int64_t count =
      heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(),
                    static_cast<std::int64_t>(raw.size()));
  found.erase(found.begin() + count, found.end());
  return found;
}

Descriptor how_pointwise(cudnnPointwiseMode_t mode, double slope = 0) {
  Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, {mode});
  how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  if (slope != 0)
    how.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, {slope});
  return std::move(how).finished();
}

Descriptor one_to_one(const Descriptor& how, const TensorOf& x, const TensorOf& y) {
  Descriptor made(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensor(x));
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensor(y));
  return std::move(made).finished();
}

}  // namespace

void check(cudnnStatus_t status) {
  require(status == CUDNN_STATUS_SUCCESS, "cuDNN reports {}. Try --kernels own.",
          cudnnGetErrorString(status));
}

cudnnHandle_t handle() {
  return handle_of_gpu<cudnnHandle_t>([](cudnnHandle_t* made) { check(cudnnCreate(made)); });
}

Descriptor described(const std::string& json) {
  Descriptor made(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  made.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, json.data(), json.size());
  return std::move(made).finished();
}

cudnnDataType_t type_of(DType dtype) {
  return dtype == DType::f32   ? CUDNN_DATA_FLOAT
         : dtype == DType::f64 ? CUDNN_DATA_DOUBLE
                               : CUDNN_DATA_BFLOAT16;
}

Descriptor tensor(const TensorOf& what) {
  Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {what.name});
  made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, what.type);
  made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {what.alignment});
  made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, what.extents.data(),
           what.extents.size());
  made.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, what.strides.data(), what.strides.size());
  if (what.lies == Lies::nowhere)
    made.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, {true});
  if (what.lies == Lies::on_the_host)
    made.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, {true});
  return std::move(made).finished();
}

void Operations::pointwise(cudnnPointwiseMode_t mode, const TensorOf& x, const TensorOf& y) {
  add(one_to_one(how_pointwise(mode), x, y));
}

void Operations::pointwise(cudnnPointwiseMode_t mode, const TensorOf& x, const TensorOf& b,
                           const TensorOf& y) {
  Descriptor made(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how_pointwise(mode));
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensor(x));
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, tensor(b));
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensor(y));
  add(std::move(made).finished());
}

void Operations::relu(const TensorOf& x, const TensorOf& y, double slope) {
  add(one_to_one(how_pointwise(CUDNN_POINTWISE_RELU_FWD, slope), x, y));
}

void Operations::relu_gradient(const TensorOf& g, const TensorOf& y, const TensorOf& gx,
                               double slope) {
  Descriptor made(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
           how_pointwise(CUDNN_POINTWISE_RELU_BWD, slope));
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensor(y));  // which has the argument's sign
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, tensor(g));
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, tensor(gx));
  add(std::move(made).finished());
}

void Operations::reduce(cudnnReduceTensorOp_t mode, const TensorOf& x, const TensorOf& y) {
  Descriptor how(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, {mode});
  how.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  Descriptor made(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, std::move(how).finished());
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, tensor(x));
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, tensor(y));
  add(std::move(made).finished());
}

void Operations::product(const TensorOf& a, const TensorOf& b, const TensorOf& c) {
  Descriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT);
  Descriptor made(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, std::move(how).finished());
  made.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, tensor(a));
  made.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, tensor(b));
  made.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, tensor(c));
  add(std::move(made).finished());
}

void Operations::reshape(const TensorOf& x, const TensorOf& y) {
  Descriptor made(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, tensor(x));
  made.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, tensor(y));
  add(std::move(made).finished());
}

std::unique_ptr<Plan> Operations::plan(bool strict, Described gpu, int number) const {
  if (!gpu)
    refuse_in_capture("cuDNN plans a computation");
  std::vector<cudnnBackendDescriptor_t> all;
  for (const Descriptor& operation : operations_)
    all.push_back(operation.raw());
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (!gpu)
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {handle()});
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, all.data(), all.size());
  if (!graph.finish())
    return nullptr;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (const Descriptor& configuration : proposals(graph, gpu, mode)) {
      auto plan = std::make_unique<Plan>();
      if (fits(strict, plan->notes = notes_of(configuration)) && number-- <= 0 &&
          build(*plan, configuration, gpu))
        return plan;
    }
  return nullptr;
}

std::unique_lock<std::mutex> on_stream() {
  static std::mutex mutex;
  std::unique_lock lock(mutex);
  check(cudnnSetStream(handle(), static_cast<cudaStream_t>(current_stream())));
  return lock;
}

void execute(const Plan& plan, std::initializer_list<std::int64_t> names,
             std::initializer_list<const void*> addresses, void* workspace) {
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, names);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, addresses);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace});
  const Descriptor arguments = std::move(pack).finished();
  const auto launch = on_stream();
  check(cudnnBackendExecute(handle(), plan.execute.raw(), arguments.raw()));
}

}  // namespace likely::kernels::cudnn
