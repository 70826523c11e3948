// cuDNN's batch normalisation on a GPU: moments and normalisation in one, and their gradients. It
// has none of groups of channels; that of images, whose sums it adds up over all, is left to own.
#include <algorithm>
#include <array>
#include <bit>

#include "kernels/normalise.h"
#include "kernels/vendor/cudnn.h"
#include "kernels/vendor/kept.h"
#include "kernels/vendor/proofs.h"

namespace likely::kernels {
namespace {

using namespace cudnn;

enum Name : std::int64_t { x_, y_, mean_, variance_, inverse_, scale_, shift_, epsilon_, g_, h_ };
enum ResultName : std::int64_t { gx_ = 20, sum_scale_, sum_shift_ };

// In cuDNN's order [positions, channels, 1, 1].
TensorOf whole(const NormaliseProblem& p, std::int64_t name) {
  return {name,
          type_of(p.dtype),
          {p.positions, p.channels, 1, 1},
          {p.channels, 1, p.channels, p.channels}};
}
TensorOf per_channel(const NormaliseProblem& p, std::int64_t name) {
  return {name, CUDNN_DATA_FLOAT, {1, p.channels, 1, 1}, {p.channels, 1, p.channels, p.channels}};
}
TensorOf on_the_way(TensorOf like, std::int64_t name) {
  like.name = name;
  like.type = CUDNN_DATA_FLOAT;
  like.lies = Lies::nowhere;
  return like;
}
const TensorOf epsilon{epsilon_, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, Lies::on_the_host};

bool gradients(const NormaliseProblem& p) { return p.whole == Whole::gradients; }

// A leaky one it does not fuse: `main` then leaves its argument in the workspace, or finds there
// the gradient behind it.
bool leaky(const NormaliseProblem& p) { return p.how.activation == Activation::leaky_relu; }
bool apart(const NormaliseProblem& p) {
  return leaky(p) || (gradients(p) && p.how.activation != Activation::none);
}

Operations forward(const NormaliseProblem& p) {
  const bool fused = p.how.activation == Activation::relu;
  const TensorOf y = whole(p, leaky(p) ? h_ : y_), argument = on_the_way(y, h_);
  Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, {CUDNN_BATCH_NORM});
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE,
                {CUDNN_NORM_FWD_TRAINING});
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, tensor(whole(p, x_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, tensor(per_channel(p, mean_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, tensor(per_channel(p, inverse_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, tensor(per_channel(p, scale_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, tensor(per_channel(p, shift_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, tensor(epsilon));
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, tensor(fused ? argument : y));
  Operations graph;
  graph.add(std::move(operation).finished());
  if (fused)
    graph.relu(argument, y, 0);
  return graph;
}

Operations backward(const NormaliseProblem& p) {
  Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, {CUDNN_BATCH_NORM});
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, tensor(whole(p, x_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, tensor(whole(p, apart(p) ? h_ : g_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, tensor(per_channel(p, mean_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, tensor(per_channel(p, inverse_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, tensor(per_channel(p, scale_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, tensor(per_channel(p, sum_scale_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, tensor(per_channel(p, sum_shift_)));
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, tensor(whole(p, gx_)));
  Operations graph;
  graph.add(std::move(operation).finished());
  return graph;
}

// cuDNN keeps 1 / √(variance + ε): one from the other.
Operations variance_of_inverse(const NormaliseProblem& p) {
  const TensorOf inverse = per_channel(p, inverse_), square = on_the_way(inverse, 100);
  const TensorOf sum = on_the_way(inverse, 101);
  Operations graph;
  graph.pointwise(CUDNN_POINTWISE_MUL, inverse, inverse, square);
  graph.pointwise(CUDNN_POINTWISE_RECIPROCAL, square, sum);
  graph.pointwise(CUDNN_POINTWISE_SUB, sum, epsilon, per_channel(p, variance_));
  return graph;
}
Operations inverse_of_variance(const NormaliseProblem& p) {
  const TensorOf sum = on_the_way(per_channel(p, 0), 100);
  Operations graph;
  graph.pointwise(CUDNN_POINTWISE_ADD, per_channel(p, variance_), epsilon, sum);
  graph.pointwise(CUDNN_POINTWISE_RSQRT, sum, per_channel(p, inverse_));
  return graph;
}

Operations activation(const NormaliseProblem& p) {
  const double slope = leaky(p) ? p.how.slope : 0;
  Operations graph;
  if (gradients(p))
    graph.relu_gradient(whole(p, g_), whole(p, y_), whole(p, h_), slope);
  else
    graph.relu(whole(p, h_), whole(p, y_), slope);
  return graph;
}

struct Steps {
  Plan main, inverse, activation;  // the last where it is apart
  std::int64_t workspace;          // of the largest
};

std::unique_ptr<Steps> make(const NormaliseProblem& p, Described gpu = nullptr) {
  if (p.dtype == DType::f64 || p.images != 1 || p.group != 1 ||
      (p.how.activation != Activation::none && p.how.activation != Activation::relu && !leaky(p)))
    return nullptr;
  const auto first = [&](const Operations& graph, Plan& to) {
    std::unique_ptr<Plan> found = graph.plan(false, gpu);  // there are no products
    if (found)
      to = std::move(*found);
    return found != nullptr;
  };
  auto steps = std::make_unique<Steps>();
  if (!first(gradients(p) ? backward(p) : forward(p), steps->main) ||
      !first(gradients(p) ? inverse_of_variance(p) : variance_of_inverse(p), steps->inverse) ||
      (apart(p) && !first(activation(p), steps->activation)))
    return nullptr;
  steps->workspace =
      std::max({steps->main.workspace, steps->inverse.workspace, steps->activation.workspace});
  return steps;
}

std::shared_ptr<const Steps> steps_for(const NormaliseProblem& p) {
  static auto& kept = *new Kept<std::array<std::int64_t, 9>, Steps>;
  return kept.get({current_device().index, gradients(p), static_cast<int>(p.dtype), p.images,
                   p.positions, p.channels, p.group, static_cast<int>(p.how.activation),
                   leaky(p) ? std::bit_cast<std::int64_t>(p.how.slope) : 0},
                  [&] { return make(p); });
}

bool serves(const NormaliseProblem& p) {
  return opened_cuda() == Cuda::gpu && steps_for(p) != nullptr;
}

// The workspace: 1 / √(variance + ε), what lies before or behind an activation, and the plans'.
std::int64_t rounded(std::int64_t bytes) { return (bytes + 255) / 256 * 256; }
std::int64_t bytes_of_inverse(const NormaliseProblem& p) { return rounded(4 * p.channels); }
std::int64_t bytes_of_h(const NormaliseProblem& p) {
  return apart(p) ? rounded(p.positions * p.channels * static_cast<std::int64_t>(size_of(p.dtype)))
                  : 0;
}
std::size_t workspace(const NormaliseProblem& p) {
  return static_cast<std::size_t>(bytes_of_inverse(p) + bytes_of_h(p) + steps_for(p)->workspace);
}

const VendorPaths paths{"normalise", vendor_normalise, "cuDNN", {DType::f32, DType::bf16}};

void fill(const NormaliseProblem& p, void* workspace) {
  paths.use(p.dtype);
  const auto steps = steps_for(p);
  const float small = static_cast<float>(p.how.epsilon);
  std::byte* const inverse = static_cast<std::byte*>(workspace);
  std::byte* const h = inverse + bytes_of_inverse(p);
  std::byte* const rest = h + bytes_of_h(p);
  if (gradients(p)) {
    execute(steps->inverse, {variance_, inverse_, epsilon_}, {p.variance, inverse, &small}, rest);
    if (apart(p))
      execute(steps->activation, {g_, y_, h_}, {p.g, p.y, h}, rest);
    execute(
        steps->main, {x_, apart(p) ? h_ : g_, mean_, inverse_, scale_, sum_scale_, sum_shift_, gx_},
        {p.x, apart(p) ? h : p.g, p.mean, inverse, p.scale, p.sum_scale, p.sum_shift, p.out}, rest);
    return;
  }
  execute(steps->main, {x_, mean_, inverse_, scale_, shift_, epsilon_, leaky(p) ? h_ : y_},
          {p.x, p.mean, inverse, p.scale, p.shift, &small, leaky(p) ? h : p.out}, rest);
  if (apart(p))
    execute(steps->activation, {h_, y_}, {h, p.out}, rest);
  execute(steps->inverse, {inverse_, variance_, epsilon_}, {inverse, p.variance, &small}, rest);
}

const Registered registered{normalise_family(), Device::cuda, Source::vendor,
                            NormaliseBackend{"batch norm cuDNN", workspace, nullptr, nullptr,
                                             nullptr, nullptr, serves, fill}};

}  // namespace

// For tests where there is no GPU: the notes of the plan for one that cuDNN is told of as JSON, -1
// where there is none.
extern "C" int likely_cudnn_normalise(const NormaliseProblem& problem, const std::string& gpu) {
  const Descriptor of = described(gpu);
  const auto made = make(problem, &of);
  return made ? static_cast<int>(made->main.notes) : -1;
}

}  // namespace likely::kernels
