// oneDNN's convolutions on the CPU: images stay NHWC, weights are reordered to what it likes best.
#include <array>
#include <bit>

#include "kernels/convolution.h"
#include "kernels/vendor/onednn.h"

namespace likely::kernels {
namespace {

using namespace onednn;

// A primitive, the descriptors it was made for, and the way of the weights to it or from it.
struct Primitive {
  memory::desc x, w, y, bias;  // as they are here
  memory::desc w_there, scratchpad;
  dnnl::primitive execute, reorder;  // reorder: none where the weights lie as they should
};

memory::desc images(const ConvolutionProblem& p, Pixels size, std::int64_t channels) {
  return {{p.batch, channels, size.rows, size.columns}, type_of(p.dtype), memory::format_tag::nhwc};
}

// [groups, out of a group, in of a group, rows, columns], or as a transposed convolution has it.
memory::desc weights(const ConvolutionProblem& p) {
  const std::int64_t in = p.in / p.groups, out = p.out / p.groups;
  const std::int64_t taps = p.kernel.rows * p.kernel.columns;
  memory::dims extents = {p.groups, out, in, p.kernel.rows, p.kernel.columns};
  memory::dims strides = {out * taps * in, taps * in, 1, p.kernel.columns * in, in};
  if (p.direction == Direction::data) {
    std::swap(extents[1], extents[2]);
    std::swap(strides[1], strides[2]);
  }
  const int first = p.groups == 1 ? 1 : 0;
  return {memory::dims(extents.begin() + first, extents.end()), type_of(p.dtype),
          memory::dims(strides.begin() + first, strides.end())};
}

memory::desc any(const memory::desc& like) {
  return {like.dims(), like.data_type(), memory::format_tag::any};
}

// How the kernel moves, in oneDNN's words.
struct Moves {
  memory::dims strides, dilation, before, after;
  explicit Moves(const ConvolutionProblem& p)
      : strides{p.stride.rows, p.stride.columns},
        dilation{p.dilation.rows - 1, p.dilation.columns - 1},
        before{p.top, p.left},
        after{reach(p.output.rows, p.stride.rows, p.kernel.rows, p.dilation.rows) - p.image.rows -
                  p.top,
              reach(p.output.columns, p.stride.columns, p.kernel.columns, p.dilation.columns) -
                  p.image.columns - p.left} {
    for (auto& pixels : after)
      pixels = std::max<std::int64_t>(0, pixels);  // what is lost to the stride needs no padding
  }
  static std::int64_t reach(std::int64_t places, std::int64_t stride, std::int64_t taps,
                            std::int64_t dilation) {
    return (places - 1) * stride + dilation * (taps - 1) + 1;
  }
};

using Forward = dnnl::convolution_forward;
using Transposed = dnnl::deconvolution_forward;
using Weight = dnnl::convolution_backward_weights;

Forward::primitive_desc forward(const ConvolutionProblem& p, const Primitive& of) {
  const Moves m(p);
  constexpr auto kind = dnnl::prop_kind::forward_training;
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  const auto what = p.biased ? Forward::desc(kind, algorithm, of.x, any(of.w), of.bias, of.y,
                                             m.strides, m.dilation, m.before, m.after)
                             : Forward::desc(kind, algorithm, of.x, any(of.w), of.y, m.strides,
                                             m.dilation, m.before, m.after);
  return {what, attributes_of(p), engine()};
}

Transposed::primitive_desc transposed(const ConvolutionProblem& p, const Primitive& of) {
  const Moves m(p);
  constexpr auto kind = dnnl::prop_kind::forward_training;
  constexpr auto algorithm = dnnl::algorithm::deconvolution_direct;
  const auto what = p.biased ? Transposed::desc(kind, algorithm, of.y, any(of.w), of.bias, of.x,
                                                m.strides, m.dilation, m.before, m.after)
                             : Transposed::desc(kind, algorithm, of.y, any(of.w), of.x, m.strides,
                                                m.dilation, m.before, m.after);
  return {what, attributes_of(p), engine()};
}

Weight::primitive_desc weight(const ConvolutionProblem& p, const Primitive& of) {
  const Moves m(p);
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  const Forward::primitive_desc hint(
      Forward::desc(dnnl::prop_kind::forward_training, algorithm, of.x, any(of.w), of.y, m.strides,
                    m.dilation, m.before, m.after),
      engine());
  return {Weight::desc(algorithm, of.x, any(of.w), of.y, m.strides, m.dilation, m.before, m.after),
          attributes_of(p), engine(), hint};
}

template <class Made, class Description>
void take(Primitive& to, const Description& description, const memory::desc& w_there) {
  to.execute = Made(description);
  to.scratchpad = description.scratchpad_desc();
  to.w_there = w_there;
}

// Null where oneDNN has nothing for the problem; it says so by an exception.
std::unique_ptr<Primitive> make(const ConvolutionProblem& p) {
  const bool of_weights = p.direction == Direction::weight;
  if (p.dtype == DType::f64 || p.tf32 || p.batch == 0 || p.in == 0 || p.out == 0 ||
      (of_weights && p.add))
    return nullptr;
  try {
    auto made = std::make_unique<Primitive>();
    made->x = images(p, p.image, p.in);
    made->y = images(p, p.output, p.out);
    made->w = weights(p);
    const std::int64_t channels = p.direction == Direction::data ? p.in : p.out;
    made->bias = {{channels}, type_of(p.dtype), memory::format_tag::x};
    if (p.direction == Direction::forward) {
      const auto description = forward(p, *made);
      take<Forward>(*made, description, description.weights_desc());
    } else if (p.direction == Direction::data) {
      const auto description = transposed(p, *made);
      take<Transposed>(*made, description, description.weights_desc());
    } else {
      const auto description = weight(p, *made);
      take<Weight>(*made, description, description.diff_weights_desc());
    }
    if (made->w_there != made->w)
      made->reorder = dnnl::reorder(
          of_weights ? dnnl::reorder::primitive_desc(engine(), made->w_there, engine(), made->w)
                     : dnnl::reorder::primitive_desc(engine(), made->w, engine(), made->w_there));
    return made;
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

std::shared_ptr<const Primitive> primitive_for(const ConvolutionProblem& p) {
  static Kept<std::array<std::int64_t, 22>, Primitive> kept;
  return kept.get({static_cast<int>(p.direction),
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
                   p.add + 2 * p.biased + 4 * p.tf32,
                   static_cast<int>(p.activation),
                   std::bit_cast<std::int64_t>(p.slope),
                   told_threads()},
                  [&] { return make(p); });
}

bool serves(const ConvolutionProblem& problem) {
  return problem.plan == 0 && primitive_for(problem) != nullptr;
}

std::size_t rounded_up(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::size_t weight_bytes(const Primitive& primitive) {
  return primitive.reorder ? rounded_up(primitive.w_there.get_size()) : 0;
}

std::size_t workspace(const ConvolutionProblem& problem, int) {
  const auto primitive = primitive_for(problem);
  return weight_bytes(*primitive) + primitive->scratchpad.get_size();
}

void fill(const ConvolutionProblem& problem, void* workspace) {
  const auto primitive = primitive_for(problem);
  const bool of_weights = problem.direction == Direction::weight;
  const bool data = problem.direction == Direction::data;
  const memory here = at(primitive->w, problem.w);
  const memory there = primitive->reorder ? at(primitive->w_there, workspace) : here;
  if (primitive->reorder && !of_weights)
    execute(primitive->reorder, {{DNNL_ARG_FROM, here}, {DNNL_ARG_TO, there}});
  const memory x = at(primitive->x, problem.x), y = at(primitive->y, problem.y);
  Arguments arguments = {
      {DNNL_ARG_SCRATCHPAD,
       at(primitive->scratchpad, static_cast<std::byte*>(workspace) + weight_bytes(*primitive))},
      {DNNL_ARG_SRC, data ? y : x},
      {of_weights ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, data ? x : y},
      {of_weights ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, there}};
  if (problem.biased)
    arguments.emplace(DNNL_ARG_BIAS, at(primitive->bias, problem.bias));
  execute(primitive->execute, arguments);
  if (primitive->reorder && of_weights)
    execute(primitive->reorder, {{DNNL_ARG_FROM, there}, {DNNL_ARG_TO, here}});
}

const Registered registered{convolution_family(), Device::cpu, Source::vendor,
                            ConvolutionBackend{"convolution oneDNN", serves, workspace, fill}};

}  // namespace
}  // namespace likely::kernels
