// The front of normalisation: checks, and sees x as [images, positions, channels].
#include "kernels/normalise.h"

#include <algorithm>

#include "kernels/copy.h"

namespace likely::kernels {
namespace {

DType statistics_type(const Tensor& x) { return x.dtype() == DType::f64 ? DType::f64 : DType::f32; }

void require_channels(const char* operation, const Tensor& x, int least_rank) {
  require(x.defined(), "{}: the tensor is undefined.", operation);
  require(is_floating(x.dtype()),
          "{}: {} is not normalised: only floating-point types are. Use cast() first.", operation,
          x.dtype());
  require(x.rank() >= least_rank,
          "{}: x is {}, which has no axes to average over. Give it as [batch, …, channels].",
          operation, x.shape());
}

// A statistic, a sum, a scale or a shift: contiguous, or undefined.
Tensor checked(const char* operation, const char* name, const Tensor& given, const Tensor& x,
               const Shape& shape) {
  if (!given.defined())
    return given;
  require(
      given.shape() == shape && given.dtype() == statistics_type(x) && given.device() == x.device(),
      "{}: the {} is {} {} on {}, for x {} {} it must be {} {} on {}.", operation, name,
      given.dtype(), given.shape(), given.device(), x.dtype(), x.shape(), statistics_type(x), shape,
      x.device());
  return contiguous(given);
}

Tensor like(const char* operation, const char* name, const Tensor& given, const Tensor& x) {
  require(given.defined() && given.shape() == x.shape() && given.dtype() == x.dtype() &&
              given.device() == x.device(),
          "{}: {} must be {} {} on {}, as x is.", operation, name, x.dtype(), x.shape(),
          x.device());
  return contiguous(given);
}

// Whether a gradient reads y as well as g.
bool reads_value(const char* operation, const Normalise& how) {
  require(how.activation != Activation::leaky_relu || how.slope >= 0,
          "{}: the gradient of leaky_relu does not follow from its value where the slope, {}, is "
          "below 0. Apply leaky_relu to what is normalised without an activation.",
          operation, how.slope);
  return slope_reads_value(how.activation, how.slope);
}

Shape shape_of_moments(const Tensor& x, Over over) {
  return over == Over::image ? Shape{x.size(0), x.size(-1)} : Shape{x.size(-1)};
}

// Sizes alone; the pointers come later, where there is memory.
NormaliseProblem problem_of(const Tensor& x, Over over, std::int64_t group, const Normalise& how) {
  NormaliseProblem problem{};
  problem.dtype = x.dtype();
  problem.images = over == Over::image ? x.size(0) : 1;
  problem.channels = x.size(-1);
  problem.positions = x.numel() / std::max<std::int64_t>(problem.images * problem.channels, 1);
  problem.group = group;
  problem.how = how;
  return problem;
}

// What every operation but moments() reads: kept alive here while its pointers are used.
struct Reads {
  Tensor x, mean, variance, scale, shift;
  NormaliseProblem problem;

  Reads(const char* operation, const Tensor& given, const Moments& by, const Tensor& factor,
        const Tensor& term, const Normalise& how) {
    require_channels(operation, given, 1);
    require(by.mean.defined() && by.variance.defined(), "{}: mean or variance is undefined.",
            operation);
    const Over over = by.mean.rank() == 1 ? Over::batch : Over::image;
    require_channels(operation, given, over == Over::image ? 2 : 1);
    const Shape shape = shape_of_moments(given, over);
    x = contiguous(given);
    mean = checked(operation, "mean", by.mean, given, shape);
    variance = checked(operation, "variance", by.variance, given, shape);
    scale = checked(operation, "scale", factor, given, {given.size(-1)});
    shift = checked(operation, "shift", term, given, {given.size(-1)});
    problem = problem_of(x, over, by.group, how);
    problem.scale = raw_or_null(scale);
    problem.shift = raw_or_null(shift);
    if (x.is_meta())
      return;
    problem.x = x.raw();
    problem.mean = mean.raw();
    problem.variance = variance.raw();
  }
};

Tensor workspace_of(const NormaliseBackend& backend, const NormaliseProblem& problem,
                    Device device) {
  const auto bytes = static_cast<std::int64_t>(backend.workspace(problem));
  return bytes ? Tensor::empty({bytes}, DType::u8, device) : Tensor();
}

// What computes all at once: the vendor's where it is chosen, which wants scale and shift and reads
// 16 bytes at once, else own; null where neither has that for the problem.
const NormaliseBackend* whole_for(const NormaliseProblem& problem, const Tensor& x,
                                  const Tensor& scale, const Tensor& shift,
                                  std::initializer_list<Tensor> read) {
  if (x.numel() == 0)
    return nullptr;
  bool for_vendors = scale.defined() && shift.defined();
  for (const Tensor& tensor : read)
    for_vendors = for_vendors && !(tensor.defined() && tensor.contiguous() &&
                                   reinterpret_cast<std::uintptr_t>(raw_or_null(tensor)) % 16 != 0);
  const NormaliseBackend& found = for_vendors ? normalise_family().serving(x.device(), problem)
                                              : normalise_family().own(x.device());
  return found.fill && found.serves(problem) ? &found : nullptr;
}

// What is asked of moments(): their shape, and the offset, contiguous.
struct Asked {
  Shape shape;
  Tensor offset;

  Asked(const char* operation, const Tensor& x, Over over, std::int64_t group,
        const Tensor& added) {
    require_channels(operation, x, over == Over::image && group == 1 ? 3 : 2);
    require(group > 0 && x.size(-1) % group == 0,
            "{}: {} channels do not make groups of {}: x is {}. Give a divisor.", operation,
            x.size(-1), group, x.shape());
    require(!added.defined() || over == Over::image,
            "{}: an offset is of each image, and these moments are over all. Add it to x.",
            operation);
    shape = shape_of_moments(x, over);
    if (group > 1)  // else a channel's own is gone with its mean
      offset = checked(operation, "offset", added, x, shape);
    require(x.numel() > 0 || shape.numel() == 0, "{}: there is no mean of no elements: x is {}.",
            operation, x.shape());
  }
  Moments made(const Tensor& x, std::int64_t group) const {
    const DType type = statistics_type(x);
    return {Tensor::empty(shape, type, x.device()), Tensor::empty(shape, type, x.device()), group};
  }
};

}  // namespace

Family<NormaliseBackend>& normalise_family() {
  static Family<NormaliseBackend> family("normalise");
  return family;
}

Moments moments(const Tensor& given, Over over, std::int64_t group, const Tensor& added) {
  const Asked asked("moments", given, over, group, added);
  const Tensor x = contiguous(given);
  const Moments result = asked.made(x, group);
  launched({"moments", 0, static_cast<double>(x.bytes() + 2 * result.mean.bytes())});
  if (x.numel() == 0)
    return result;
  NormaliseProblem problem = problem_of(x, over, group, {});
  const NormaliseBackend& backend = normalise_family().own(x.device());
  const Tensor workspace = workspace_of(backend, problem, x.device());
  if (x.is_meta())
    return result;
  problem.x = x.raw();
  problem.mean = result.mean.raw();
  problem.variance = result.variance.raw();
  problem.offset = raw_or_null(asked.offset);
  backend.moments(problem, workspace.defined() ? workspace.raw() : nullptr);
  return result;
}

Tensor normalise(const Tensor& x, const Moments& by, const Tensor& scale, const Tensor& shift,
                 const Normalise& how) {
  Reads reads("normalise", x, by, scale, shift, how);
  const Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  launched({"normalise", 0, static_cast<double>(2 * x.bytes())});
  if (x.is_meta() || x.numel() == 0)
    return out;
  reads.problem.out = out.raw();
  normalise_family().own(x.device()).normalise(reads.problem);
  return out;
}

NormaliseSums normalise_sums(const Tensor& g, const Tensor& x, const Tensor& y, const Moments& by,
                             const Tensor& scale, const Tensor& shift, const Normalise& how) {
  Reads reads("normalise_sums", x, by, scale, shift, how);
  const bool sloped = reads_value("normalise_sums", how);
  const Tensor cotangent = like("normalise_sums", "g", g, x);
  const Tensor output = sloped ? like("normalise_sums", "y", y, x) : Tensor();
  const auto made = x.numel() == 0 ? zeros : [](const Shape& shape, DType dtype, Device device) {
    return Tensor::empty(shape, dtype, device);
  };
  const Shape& shape = by.mean.shape();
  const NormaliseSums sums{made(shape, statistics_type(x), x.device()),
                           made(shape, statistics_type(x), x.device())};
  launched({"normalise_sums", 0, static_cast<double>((sloped ? 3 : 2) * x.bytes())});
  if (x.numel() == 0)
    return sums;
  const NormaliseBackend& backend = normalise_family().own(x.device());
  const Tensor workspace = workspace_of(backend, reads.problem, x.device());
  if (x.is_meta())
    return sums;
  reads.problem.g = cotangent.raw();
  reads.problem.y = raw_or_null(output);
  reads.problem.sum_shift = sums.shift.raw();
  reads.problem.sum_scale = sums.scale.raw();
  backend.sums(reads.problem, workspace.defined() ? workspace.raw() : nullptr);
  return sums;
}

Tensor normalise_data(const Tensor& g, const Tensor& x, const Tensor& y, const Moments& by,
                      const Tensor& scale, const Tensor& shift, const NormaliseSums& sums,
                      const Normalise& how) {
  Reads reads("normalise_data", x, by, scale, shift, how);
  const bool sloped = reads_value("normalise_data", how);
  const Tensor cotangent = like("normalise_data", "g", g, x);
  const Tensor output = sloped ? like("normalise_data", "y", y, x) : Tensor();
  const Tensor of_shift = checked("normalise_data", "sum", sums.shift, x, by.mean.shape());
  const Tensor of_scale = checked("normalise_data", "sum", sums.scale, x, by.mean.shape());
  const Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  launched({"normalise_data", 0, static_cast<double>((sloped ? 4 : 3) * x.bytes())});
  if (x.is_meta() || x.numel() == 0)
    return out;
  reads.problem.g = cotangent.raw();
  reads.problem.y = raw_or_null(output);
  reads.problem.sum_shift = raw_or_null(of_shift);
  reads.problem.sum_scale = raw_or_null(of_scale);
  reads.problem.out = out.raw();
  normalise_family().own(x.device()).data(reads.problem);
  return out;
}

Normalised normalised(const Tensor& x, const Tensor& scale, const Tensor& shift,
                      const Normalise& how, Over over, std::int64_t group, const Tensor& added) {
  const Asked asked("normalised", x, over, group, added);
  NormaliseProblem problem = problem_of(x, over, group, how);
  problem.whole = Whole::values;
  const NormaliseBackend* backend = whole_for(problem, x, scale, shift, {x});
  if (!backend) {
    const Moments by = moments(x, over, group, added);
    return {normalise(x, by, scale, shift, how), by};
  }
  const Moments by = asked.made(x, group);
  Reads reads("normalised", x, by, scale, shift, how);
  reads.problem.whole = Whole::values;
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  launched({backend->name, 0, static_cast<double>(2 * x.bytes())});
  const Tensor workspace = workspace_of(*backend, problem, x.device());
  if (x.is_meta())
    return {y, by};
  reads.problem.offset = raw_or_null(asked.offset);
  reads.problem.out = y.raw();
  backend->fill(reads.problem, workspace.defined() ? workspace.raw() : nullptr);
  return {y, by};
}

NormaliseGradients normalise_gradients(const Tensor& g, const Tensor& x, const Tensor& y,
                                       const Moments& by, const Tensor& scale, const Tensor& shift,
                                       const Normalise& how) {
  Reads reads("normalise_gradients", x, by, scale, shift, how);
  const bool sloped = reads_value("normalise_gradients", how);
  reads.problem.whole = Whole::gradients;
  const NormaliseBackend* backend = whole_for(reads.problem, x, scale, shift, {x, g, y});
  if (!backend) {
    const NormaliseSums sums = normalise_sums(g, x, y, by, scale, shift, how);
    return {normalise_data(g, x, y, by, scale, shift, sums, how), sums};
  }
  const Tensor cotangent = like("normalise_gradients", "g", g, x);
  const Tensor output = sloped ? like("normalise_gradients", "y", y, x) : Tensor();
  const NormaliseGradients made{Tensor::empty(x.shape(), x.dtype(), x.device()),
                                {Tensor::empty(by.mean.shape(), statistics_type(x), x.device()),
                                 Tensor::empty(by.mean.shape(), statistics_type(x), x.device())}};
  launched({backend->name, 0, static_cast<double>((output.defined() ? 4 : 3) * x.bytes())});
  const Tensor workspace = workspace_of(*backend, reads.problem, x.device());
  if (x.is_meta())
    return made;
  reads.problem.g = cotangent.raw();
  reads.problem.y = raw_or_null(output);
  reads.problem.sum_shift = made.sums.shift.raw();
  reads.problem.sum_scale = made.sums.scale.raw();
  reads.problem.out = made.x.raw();
  backend->fill(reads.problem, workspace.defined() ? workspace.raw() : nullptr);
  return made;
}

}  // namespace likely::kernels
