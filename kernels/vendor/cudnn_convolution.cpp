// cuDNN's convolutions on a GPU.
#include <algorithm>
#include <array>

#include "kernels/convolution.h"
#include "kernels/vendor/cudnn.h"
#include "kernels/vendor/kept.h"
#include "kernels/vendor/proofs.h"

namespace likely::kernels {
namespace {

using namespace cudnn;

// The operands' names in a graph.
constexpr std::int64_t x_name = 'x', w_name = 'w', y_name = 'y';

// NHWC, in cuDNN's order [batch or out, channels, rows, columns].
Descriptor images(const ConvolutionProblem& p, std::int64_t name, const void* address,
                  std::int64_t count, Pixels size, std::int64_t channels) {
  return tensor({name,
                 type_of(p.dtype),
                 {count, channels, size.rows, size.columns},
                 {size.rows * size.columns * channels, 1, size.columns * channels, channels},
                 Lies::in_memory,
                 alignment(address)});
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

std::unique_ptr<Plan> make(const ConvolutionProblem& p, Described gpu = nullptr) {
  if (p.add || p.biased || p.activation != Activation::none || p.batch == 0 || p.in == 0 ||
      p.out == 0)
    return nullptr;
  const Words& of = words[static_cast<int>(p.direction)];
  Descriptor operation(of.operation);
  operation.set(of.x, images(p, x_name, p.x, p.batch, p.image, p.in));
  operation.set(of.w, images(p, w_name, p.w, p.out, p.kernel, p.in / p.groups));
  operation.set(of.y, images(p, y_name, p.y, p.batch, p.output, p.out));
  operation.set(of.movement, movement(p));
  if (p.dtype == DType::f64) {
    operation.set(of.alpha, CUDNN_TYPE_DOUBLE, {1.0});
    operation.set(of.beta, CUDNN_TYPE_DOUBLE, {0.0});
  } else {
    operation.set(of.alpha, CUDNN_TYPE_FLOAT, {1.0f});
    operation.set(of.beta, CUDNN_TYPE_FLOAT, {0.0f});
  }
  Operations graph;
  graph.add(std::move(operation).finished());
  return graph.plan(p.dtype == DType::f32 && !p.tf32, gpu, p.plan);
}

std::shared_ptr<const Plan> plan_for(const ConvolutionProblem& p) {
  static auto& kept = *new Kept<std::array<std::int64_t, 24>, Plan>;
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
                   alignment(p.y),
                   p.plan},
                  [&] { return make(p); });
}

// Seen once on an H200 with cuDNN 9.19, in the bench's table: an illegal access at the f32 weight
// gradient of 64 images of 27 x 28 and one channel, padded by 3 rows above and none below. Alone
// and under memcheck neither cuDNN's plans nor own do wrong there. Own serves its kin.
bool distrusted(const ConvolutionProblem& p) {
  const bool uneven = p.top != after(p.output.rows, p.stride.rows, p.kernel.rows, p.dilation.rows,
                                     p.image.rows, p.top) ||
                      p.left != after(p.output.columns, p.stride.columns, p.kernel.columns,
                                      p.dilation.columns, p.image.columns, p.left);
  return p.direction == Direction::weight && p.dtype == DType::f32 && !p.tf32 &&
         (uneven || p.in == p.groups);
}

bool serves(const ConvolutionProblem& problem) {
  return opened_cuda() == Cuda::gpu && !distrusted(problem) && plan_for(problem) != nullptr;
}

std::size_t workspace(const ConvolutionProblem& problem, int) {
  return static_cast<std::size_t>(plan_for(problem)->workspace);
}

const VendorPaths paths{"convolution",
                        vendor_convolutions,
                        "cuDNN",
                        {DType::f32, DType::f64, DType::bf16},
                        "cuDNN tf32"};

void fill(const ConvolutionProblem& p, void* workspace) {
  paths.use(p.dtype, p.tf32);
  execute(*plan_for(p), {x_name, w_name, y_name}, {p.x, p.w, p.y}, workspace);
}

const Registered registered{convolution_family(), Device::cuda, Source::vendor,
                            ConvolutionBackend{"convolution cuDNN", serves, workspace, fill}};

}  // namespace

// For tests where there is no GPU: the notes of the plan for one that cuDNN is told of as JSON, -1
// where there is none.
extern "C" int likely_cudnn_convolution(const ConvolutionProblem& problem, const std::string& gpu) {
  const Descriptor of = described(gpu);
  const auto made = make(problem, &of);
  return made ? static_cast<int>(made->notes) : -1;
}

}  // namespace likely::kernels
