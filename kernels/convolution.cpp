// The front of convolutions: what fits together, the sizes of images, which backend, launch.
#include "kernels/convolution.h"

#include <limits>

#include "kernels/choice.h"
#include "kernels/convolution_fastest.h"
#include "kernels/copy.h"
#include "kernels/into.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

std::string written(Pixels p) { return fmt::format("{} x {}", p.rows, p.columns); }

void check_options(const char* operation, const ConvolutionOptions& o) {
  const Padding& p = o.padding;
  require_pixels(operation, {o.stride, o.dilation, {p.top, p.left}, {p.bottom, p.right}, o.groups});
  require(o.stride.rows >= 1 && o.stride.columns >= 1 && o.dilation.rows >= 1 &&
              o.dilation.columns >= 1 && o.groups >= 1,
          "{}: stride {}, dilation {}, groups {}. Each must be 1 or more.", operation,
          written(o.stride), written(o.dilation), o.groups);
  require(p.top >= 0 && p.bottom >= 0 && p.left >= 0 && p.right >= 0,
          "{}: the padding is {} above, {} below, {} left, {} right. None may be negative; cut the "
          "image instead.",
          operation, p.top, p.bottom, p.left, p.right);
}

void check_images(const char* operation, const char* name, const Tensor& images) {
  require(images.defined() && images.rank() == 4,
          "{}: {} is {}. Give images as [batch, height, width, channels].", operation, name,
          images.defined() ? fmt::format("{}", images.shape()) : "undefined");
  require(is_floating(images.dtype()), "{}: {} is {}. Cast it to a floating-point type.", operation,
          name, images.dtype());
}

void check_weight(const char* operation, const Tensor& w) {
  require(w.defined() && w.rank() == 4,
          "{}: the weight is {}. Give [out, rows, columns, in / groups], transposed [in, rows, "
          "columns, out / groups].",
          operation, w.defined() ? fmt::format("{}", w.shape()) : "undefined");
}

void check_alike(const char* operation, const Tensor& a, const char* name, const Tensor& b) {
  require(a.dtype() == b.dtype() && a.device() == b.device(),
          "{}: the images are {} on {}, the {} is {} on {}. Give them one type and device.",
          operation, a.dtype(), a.device(), name, b.dtype(), b.device());
}

// How many places a kernel has along an axis.
std::int64_t places(const char* operation, const char* axis, std::int64_t extent,
                    std::int64_t padding, std::int64_t taps, std::int64_t dilation,
                    std::int64_t stride) {
  require(taps >= 1, "{}: the kernel has {} {}. It needs one at least.", operation, taps, axis);
  const std::int64_t reach = dilation * (taps - 1) + 1;
  require(extent + padding >= reach,
          "{}: the image is smaller than the kernel: {} {} and {} of padding make {}, {} taps at "
          "dilation {} reach over {}. Pad more, or take a smaller kernel.",
          operation, extent, axis, padding, extent + padding, taps, dilation, reach);
  return (extent + padding - reach) / stride + 1;
}

Pixels output_of(const char* operation, Pixels image, Pixels kernel, const ConvolutionOptions& o) {
  require_pixels(operation, {image, kernel});
  const Padding& p = o.padding;
  return {places(operation, "rows", image.rows, p.top + p.bottom, kernel.rows, o.dilation.rows,
                 o.stride.rows),
          places(operation, "columns", image.columns, p.left + p.right, kernel.columns,
                 o.dilation.columns, o.stride.columns)};
}

// The smallest image for which a convolution has this output.
Pixels smallest_image(const char* operation, Pixels output, Pixels kernel,
                      const ConvolutionOptions& o) {
  require_pixels(operation, {output, kernel});
  const auto extent = [](std::int64_t places, std::int64_t taps, std::int64_t stride,
                         std::int64_t dilation) {
    return (places - 1) * stride + dilation * (taps - 1) + 1;
  };
  const Pixels padded = {
      extent(output.rows, kernel.rows, o.stride.rows, o.dilation.rows),
      extent(output.columns, kernel.columns, o.stride.columns, o.dilation.columns)};
  const Padding& p = o.padding;
  const Pixels image = {padded.rows - p.top - p.bottom, padded.columns - p.left - p.right};
  require(image.rows >= 1 && image.columns >= 1,
          "{}: nothing is left of the image: {} pixels, less {} + {} rows and {} + {} columns of "
          "padding. Pad less.",
          operation, written(padded), p.top, p.bottom, p.left, p.right);
  return image;
}

ConvolutionProblem problem_of(Direction direction, const Tensor& x, const Tensor& w,
                              const Tensor& y, const ConvolutionOptions& o, bool add) {
  ConvolutionProblem p{};
  p.direction = direction;
  p.dtype = x.dtype();
  p.tf32 = x.dtype() == DType::f32 && chosen_products() == Products::tf32;
  p.batch = x.size(0);
  p.in = x.size(3);
  p.out = y.size(3);
  p.groups = o.groups;
  p.image = {x.size(1), x.size(2)};
  p.output = {y.size(1), y.size(2)};
  p.kernel = {w.size(1), w.size(2)};
  p.stride = o.stride;
  p.dilation = o.dilation;
  p.top = o.padding.top;
  p.left = o.padding.left;
  const bool meta = x.is_meta();
  p.x = meta ? nullptr : x.raw();
  p.w = meta ? nullptr : w.raw();
  p.y = meta ? nullptr : y.raw();
  p.add = add;
  return p;
}

void add_epilogue(const char* operation, ConvolutionProblem& p, const Epilogue& epilogue,
                  const Tensor& bias, const Tensor& result) {
  const std::int64_t channels = result.size(3);
  if (bias.defined()) {
    require(bias.rank() == 1 && bias.size(0) == channels,
            "{}: the bias is {}, the result {}. Give one value a channel.", operation, bias.shape(),
            result.shape());
    check_alike(operation, result, "bias", bias);
  }
  p.biased = bias.defined();
  p.bias = bias.defined() && !bias.is_meta() ? bias.raw() : nullptr;
  p.activation = epilogue.activation;
  p.slope = epilogue.slope;
}

const ConvolutionBackend& backend_for(ConvolutionProblem& problem, Device device) {
  const ConvolutionBackend& found =
      convolution_family().serving(device, problem, fastest_convolution);
  require<UsageError>(
      found.serves(problem),
      "convolution: tf32 needs the device cuda: the operands are on {}. Move them there, or take "
      "--precision f32.",
      served(device));
  return found;
}

// A kernel that covers the image has one place, where it is a product of matrices: so is a kernel
// of one pixel, on images of one pixel with as many channels as the image has elements.
ConvolutionProblem simplified(ConvolutionProblem p) {
  const bool biased_pixels = p.direction == Direction::data && p.biased;  // one value for all
  if (p.kernel == p.image && p.output == Pixels(1) && p.groups == 1 && p.top == 0 && p.left == 0 &&
      p.dilation == Pixels(1) && !biased_pixels) {
    p.in *= p.kernel.rows * p.kernel.columns;
    p.image = p.kernel = 1;
  }
  return p;
}

void launch(const ConvolutionProblem& given, const Tensor& result, const Into& into) {
  if (result.numel() == 0)
    return;
  ConvolutionProblem p = simplified(given);
  const ConvolutionBackend& backend = backend_for(p, result.device());
  const auto bytes = static_cast<std::int64_t>(backend.workspace(p, threads()));
  const Tensor workspace = bytes ? Tensor::empty({bytes}, DType::u8, result.device()) : Tensor();
  const double outputs = static_cast<double>(p.batch) * p.output.rows * p.output.columns * p.out;
  const double taps = static_cast<double>(p.kernel.rows) * p.kernel.columns * p.in / p.groups;
  const double inputs = static_cast<double>(p.batch) * p.image.rows * p.image.columns * p.in;
  launched({backend.name, 2 * outputs * taps,
            static_cast<double>(size_of(p.dtype)) * (outputs + inputs + p.out * taps)});
  if (!result.is_meta())
    backend.fill(p, bytes ? workspace.raw() : nullptr);
  if (into.out.defined())
    result.storage()->written();
}

Tensor contiguous_result(const char* operation, const Into& into, const Shape& shape,
                         const Tensor& like, const std::vector<Tensor>& operands) {
  const Tensor result = result_in(operation, into, shape, like, operands);
  require(result.contiguous(), "{}: `out` has gaps: {} with strides {}. Give a contiguous tensor.",
          operation, result.shape(), result.strides());
  return result;
}

}  // namespace

void require_pixels(const char* operation, std::initializer_list<Pixels> all) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  for (const Pixels& p : all)
    require(p.rows <= most && p.columns <= most,
            "{}: {} is out of range: no image, kernel, stride, padding, dilation or number of "
            "groups is more than {}. Check them.",
            operation, written(p), most);
}

Family<ConvolutionBackend>& convolution_family() {
  static Family<ConvolutionBackend> family("convolution");
  return family;
}

Tensor convolution(const Tensor& x, const Tensor& w, const ConvolutionOptions& options,
                   const Epilogue& epilogue, const Into& into) {
  constexpr const char* operation = "convolution";
  check_options(operation, options);
  check_images(operation, "x", x);
  check_weight(operation, w);
  check_alike(operation, x, "weight", w);
  require(x.size(3) == w.size(3) * options.groups && w.size(0) % options.groups == 0,
          "convolution: channels do not fit: x is {}, the weight {} takes {} in each of {} groups, "
          "{} together, and makes {}. Check the layer's `in`, `out` and groups.",
          x.shape(), w.shape(), w.size(3), options.groups, w.size(3) * options.groups, w.size(0));
  const Pixels kernel = {w.size(1), w.size(2)};
  const Pixels output = output_of(operation, {x.size(1), x.size(2)}, kernel, options);
  const Tensor images = contiguous(x), weight = contiguous(w);
  const Tensor bias = epilogue.bias.defined() ? contiguous(epilogue.bias) : Tensor();
  const Tensor y = contiguous_result(
      operation, into, {x.size(0), output.rows, output.columns, w.size(0)}, x, {x, w, bias});
  ConvolutionProblem p = problem_of(Direction::forward, images, weight, y, options, into.add);
  add_epilogue(operation, p, epilogue, bias, y);
  launch(p, y, into);
  return y;
}

Tensor transposed_convolution(const Tensor& g, const Tensor& w, const ConvolutionOptions& options,
                              Pixels image, const Epilogue& epilogue, const Into& into) {
  constexpr const char* operation = "transposed_convolution";
  check_options(operation, options);
  check_images(operation, "x", g);
  check_weight(operation, w);
  check_alike(operation, g, "weight", w);
  require(g.size(3) == w.size(0) && w.size(0) % options.groups == 0,
          "transposed_convolution: channels do not fit: x is {}, the weight {} takes {} in {} "
          "groups. Check the layer's `in` and groups.",
          g.shape(), w.shape(), w.size(0), options.groups);
  const Pixels kernel = {w.size(1), w.size(2)}, output = {g.size(1), g.size(2)};
  if (image == Pixels(0))
    image = smallest_image(operation, output, kernel, options);
  const Pixels back = output_of(operation, image, kernel, options);
  require(back == output,
          "transposed_convolution: an image of {} becomes {} by the convolution, but x has {} "
          "pixels. Ask for an image that fits stride and padding.",
          written(image), written(back), written(output));
  const Tensor images = contiguous(g), weight = contiguous(w);
  const Tensor bias = epilogue.bias.defined() ? contiguous(epilogue.bias) : Tensor();
  const Tensor x = contiguous_result(
      operation, into, {g.size(0), image.rows, image.columns, w.size(3) * options.groups}, g,
      {g, w, bias});
  ConvolutionProblem p = problem_of(Direction::data, x, weight, images, options, into.add);
  add_epilogue(operation, p, epilogue, bias, x);
  launch(p, x, into);
  return x;
}

Tensor convolution_weight(const Tensor& x, const Tensor& g, Pixels kernel,
                          const ConvolutionOptions& options, const Into& into) {
  constexpr const char* operation = "convolution_weight";
  check_options(operation, options);
  check_images(operation, "x", x);
  check_images(operation, "g", g);
  check_alike(operation, x, "gradient", g);
  require(x.size(3) % options.groups == 0 && g.size(3) % options.groups == 0,
          "convolution_weight: {} channels of x and {} of g do not divide into {} groups.",
          x.size(3), g.size(3), options.groups);
  const Pixels output = output_of(operation, {x.size(1), x.size(2)}, kernel, options);
  require(g.size(0) == x.size(0) && output == Pixels(g.size(1), g.size(2)),
          "convolution_weight: x is {}, whose convolution has {} pixels, but g is {}. Give the "
          "gradient of that convolution.",
          x.shape(), written(output), g.shape());
  const Tensor images = contiguous(x), gradient = contiguous(g);
  const Tensor w = contiguous_result(
      operation, into, {g.size(3), kernel.rows, kernel.columns, x.size(3) / options.groups}, x,
      {x, g});
  launch(problem_of(Direction::weight, images, w, gradient, options, into.add), w, into);
  return w;
}

}  // namespace likely::kernels
