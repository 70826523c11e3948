// cuDNN's convolutions on a GPU, through its graph interface: a module of its own, so that likely
// starts where the library is missing.
#include <cudnn.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kernels/convolution.h"
#include "kernels/vendor/gpu.h"
#include "kernels/vendor/kept.h"

namespace likely::kernels {
namespace {

void check(cudnnStatus_t status) {
  require(status == CUDNN_STATUS_SUCCESS,
          "convolution: cuDNN reports {}. Try --kernels convolution=own.",
          cudnnGetErrorString(status));
}

// A part of a graph, or a plan: attributes are set, then it is finished, which may be refused.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &it_));
  }
  Descriptor(Descriptor&& other) noexcept : it_(std::exchange(other.it_, nullptr)) {}
  ~Descriptor() {
    if (it_)
      cudnnBackendDestroyDescriptor(it_);
  }

  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           std::initializer_list<T> values) {
    check(cudnnBackendSetAttribute(it_, name, type, static_cast<std::int64_t>(values.size()),
                                   values.begin()));
  }
  void set(cudnnBackendAttributeName_t name, std::initializer_list<std::int64_t> values) {
    set(name, CUDNN_TYPE_INT64, values);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& part) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {part.it_});
  }
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t type) {
    set(name, CUDNN_TYPE_DATA_TYPE, {type});
  }

  // Into `values`, of which there are `most`; returns how many it wrote.
  template <class T>
  std::int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T* values,
                   std::int64_t most = 1) const {
    std::int64_t count = 0;
    check(cudnnBackendGetAttribute(it_, name, type, most, &count, values));
    return std::min(count, most);
  }

  bool finish() { return cudnnBackendFinalize(it_) == CUDNN_STATUS_SUCCESS; }
  Descriptor finished() && {
    check(cudnnBackendFinalize(it_));
    return std::move(*this);
  }
  cudnnBackendDescriptor_t raw() const { return it_; }

 private:
  cudnnBackendDescriptor_t it_ = nullptr;
};

// One for each GPU; its stream is that of the latest launch, so launches take turns.
cudnnHandle_t handle() {
  return handle_of_gpu<cudnnHandle_t>([](cudnnHandle_t* made) { check(cudnnCreate(made)); });
}

cudnnDataType_t type_of(DType dtype) {
  return dtype == DType::f32   ? CUDNN_DATA_FLOAT
         : dtype == DType::f64 ? CUDNN_DATA_DOUBLE
                               : CUDNN_DATA_BFLOAT16;
}

// The operands' names in a graph.
constexpr std::int64_t x_name = 'x', w_name = 'w', y_name = 'y';

// NHWC, in cuDNN's order [batch or out, channels, rows, columns].
Descriptor tensor(const ConvolutionProblem& p, std::int64_t name, const void* address,
                  std::int64_t count, Pixels size, std::int64_t channels) {
  Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {name});
  made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type_of(p.dtype));
  made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {alignment(address)});
  made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, {count, channels, size.rows, size.columns});
  made.set(CUDNN_ATTR_TENSOR_STRIDES,
           {size.rows * size.columns * channels, 1, size.columns * channels, channels});
  return std::move(made).finished();
}

// Zeros after the image: what is lost to the stride needs none.
std::int64_t after(std::int64_t places, std::int64_t stride, std::int64_t taps,
                   std::int64_t dilation, std::int64_t image, std::int64_t before) {
  return std::max<std::int64_t>(0,
                                (places - 1) * stride + dilation * (taps - 1) + 1 - image - before);
}

Descriptor movement(const ConvolutionProblem& p) {
  Descriptor made(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  made.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE,
           p.dtype == DType::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT);
  made.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
           {CUDNN_CROSS_CORRELATION});
  made.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2});
  made.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {p.stride.rows, p.stride.columns});
  made.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {p.dilation.rows, p.dilation.columns});
  made.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {p.top, p.left});
  made.set(
      CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
      {after(p.output.rows, p.stride.rows, p.kernel.rows, p.dilation.rows, p.image.rows, p.top),
       after(p.output.columns, p.stride.columns, p.kernel.columns, p.dilation.columns,
             p.image.columns, p.left)});
  return std::move(made).finished();
}

// A direction in cuDNN's words.
struct Words {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, w, y, movement, alpha, beta;
};
constexpr Words words[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};

// The GPU that plans are made for: that of `handle`, or one that is described.
using Described = const Descriptor*;

// The graph of one convolution.
Descriptor graph(const ConvolutionProblem& p, Described described) {
  const Words& of = words[static_cast<int>(p.direction)];
  Descriptor operation(of.operation);
  operation.set(of.x, tensor(p, x_name, p.x, p.batch, p.image, p.in));
  operation.set(of.w, tensor(p, w_name, p.w, p.out, p.kernel, p.in / p.groups));
  operation.set(of.y, tensor(p, y_name, p.y, p.batch, p.output, p.out));
  operation.set(of.movement, movement(p));
  if (p.dtype == DType::f64) {
    operation.set(of.alpha, CUDNN_TYPE_DOUBLE, {1.0});
    operation.set(of.beta, CUDNN_TYPE_DOUBLE, {0.0});
  } else {
    operation.set(of.alpha, CUDNN_TYPE_FLOAT, {1.0f});
    operation.set(of.beta, CUDNN_TYPE_FLOAT, {0.0f});
  }
  Descriptor made(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (!described)
    made.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {handle()});
  made.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::move(operation).finished());
  return std::move(made).finished();
}

// Whether an engine computes what was asked for: the same bits every time, operands and sums in no
// fewer digits. (For f32, tensor cores would read tf32.)
bool fits(const ConvolutionProblem& p, const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t it = engine.raw();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &it);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes;
  const std::int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                        notes.data(), notes.size());
  const bool strict = p.dtype == DType::f32 && !p.tf32;
  return std::none_of(notes.begin(), notes.begin() + count, [&](cudnnBackendNumericalNote_t note) {
    return note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC ||
           note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
           note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
           (strict && note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
  });
}

struct Plan {
  Descriptor execute{CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR};
  std::int64_t workspace = 0;
};

// The first of the heuristic's plans that fits and can be built; null where there is none.
std::unique_ptr<Plan> best(const ConvolutionProblem& p, const Descriptor& graph,
                           cudnnBackendHeurMode_t mode, Described described) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  if (described)
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *described);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {mode});
  if (!heuristic.finish())
    return nullptr;
  std::vector<Descriptor> configurations;
  std::vector<cudnnBackendDescriptor_t> found;
  for (int i = 0; i < 64; ++i)
    found.push_back(configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  const std::int64_t count =
      heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, found.data(),
                    static_cast<std::int64_t>(found.size()));
  for (std::int64_t i = 0; i < count; ++i) {
    if (!fits(p, configurations[static_cast<std::size_t>(i)]))
      continue;
    auto made = std::make_unique<Plan>();
    if (described)
      made->execute.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *described);
    else
      made->execute.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {handle()});
    made->execute.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                      configurations[static_cast<std::size_t>(i)]);
    if (!made->execute.finish())
      continue;
    made->execute.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &made->workspace);
    return made;
  }
  return nullptr;
}

std::unique_ptr<Plan> make(const ConvolutionProblem& p, Described described = nullptr) {
  if (p.add || p.biased || p.activation != Activation::none || p.batch == 0 || p.in == 0 ||
      p.out == 0)
    return nullptr;
  const Descriptor what = graph(p, described);
  auto made = best(p, what, CUDNN_HEUR_MODE_A, described);
  return made ? std::move(made) : best(p, what, CUDNN_HEUR_MODE_FALLBACK, described);
}

std::shared_ptr<const Plan> plan_for(const ConvolutionProblem& p) {
  static auto& kept = *new Kept<std::array<std::int64_t, 23>, Plan>;
  return kept.get({current_device().index,
                   static_cast<int>(p.direction),
                   static_cast<int>(p.dtype),
                   p.batch,
                   p.in,
                   p.out,
                   p.groups,
                   p.image.rows,
                   p.image.columns,
                   p.output.rows,
                   p.output.columns,
                   p.kernel.rows,
                   p.kernel.columns,
                   p.stride.rows,
                   p.stride.columns,
                   p.dilation.rows,
                   p.dilation.columns,
                   p.top,
                   p.left,
                   p.add || p.biased || p.activation != Activation::none ? -1 : p.tf32,
                   alignment(p.x),
                   alignment(p.w),
                   alignment(p.y)},
                  [&] { return make(p); });
}

bool serves(const ConvolutionProblem& problem) {
  return opened_cuda() == Cuda::gpu && plan_for(problem) != nullptr;
}

std::size_t workspace(const ConvolutionProblem& problem, int) {
  return static_cast<std::size_t>(plan_for(problem)->workspace);
}

void fill(const ConvolutionProblem& p, void* workspace) {
  const auto plan = plan_for(p);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, {x_name, w_name, y_name});
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, {p.x, p.w, p.y});
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace});
  const Descriptor arguments = std::move(pack).finished();
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  check(cudnnSetStream(handle(), static_cast<cudaStream_t>(current_stream())));
  check(cudnnBackendExecute(handle(), plan->execute.raw(), arguments.raw()));
}

const Registered registered{convolution_family(), Device::cuda, Source::vendor,
                            ConvolutionBackend{"convolution cuDNN", serves, workspace, fill}};

}  // namespace

// For tests where there is no GPU: whether cuDNN has a plan for one that it is told of as JSON.
extern "C" bool likely_cudnn_has_plan(const ConvolutionProblem& problem, const std::string& gpu) {
  Descriptor described(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  check(cudnnBackendSetAttribute(described.raw(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                 CUDNN_TYPE_CHAR, static_cast<std::int64_t>(gpu.size()),
                                 gpu.data()));
  const Descriptor finished = std::move(described).finished();
  return make(problem, &finished) != nullptr;
}

}  // namespace likely::kernels
