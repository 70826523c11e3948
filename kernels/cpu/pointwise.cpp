// Pointwise formulas on the CPU: whole chunks where every operand is contiguous, else blocks that
// are gathered, and widened from bf16, into the first cache.
#include "kernels/pointwise.h"

#include <algorithm>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/pointwise_loops.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t block = 512;  // elements of a gathered block

// Cheap work on fewer elements than this stays on one thread.
constexpr std::int64_t single_thread = 1 << 15;
std::int64_t grain_for(std::int64_t n) { return n <= single_thread ? single_thread : 1 << 14; }

template <class T>
const FirstOrderLoops<T>& first_order(const FormulaCall& formula) {
  if constexpr (std::is_same_v<T, float>)
    return for_isa(isa_v3::pointwise_f32, isa_v4::pointwise_f32)[formula.index];
  else
    return Tables<T, Formulas>::first[formula.index];
}

inline float widened(bf16 x) { return static_cast<float>(x); }
inline float widened(float x) { return x; }
inline double widened(double x) { return x; }

// One operand, read from the element number `begin` on in row-major order. Stored elements are of
// type S, what the loops read of type T: the same, but for bf16.
template <class S, class T>
class Reader {
 public:
  Reader(const PointwiseOperand& operand, const Shape& shape)
      : data_(static_cast<const S*>(operand.data)), shape_(shape), strides_(operand.strides) {
    rank_ = shape.rank();
    constant_ = true;
    for (int axis = 0; axis < rank_; ++axis)
      constant_ = constant_ && (!data_ || strides_[axis] == 0);
    contiguous_ = data_ && strides_ == row_major(shape);
  }

  bool direct() const { return std::is_same_v<S, T> && contiguous_; }

  // `count` elements from `begin` on: in place where they are adjacent, else gathered into
  // `buffer`.
  const T* read(std::int64_t begin, std::int64_t count, T* buffer) const {
    if (constant_) {
      std::fill_n(buffer, count, data_ ? widened(*data_) : T(0));
      return buffer;
    }
    if (contiguous_) {
      if constexpr (std::is_same_v<S, T>)
        return data_ + begin;
      else
        std::transform(data_ + begin, data_ + begin + count, buffer,
                       [](S x) { return widened(x); });
      return buffer;
    }
    return gather(begin, count, buffer);
  }

 private:
  const T* gather(std::int64_t begin, std::int64_t count, T* buffer) const {
    std::array<std::int64_t, Shape::max_rank> at;
    const S* from = data_;
    for (int axis = rank_ - 1; axis >= 0; --axis) {
      at[axis] = begin % shape_[axis];
      begin /= shape_[axis];
      from += at[axis] * strides_[axis];
    }
    const int last = rank_ - 1;
    const std::int64_t extent = shape_[last], stride = strides_[last];
    if constexpr (std::is_same_v<S, T>)
      if (stride == 1 && at[last] + count <= extent)
        return from;
    for (T* to = buffer; count > 0;) {
      const std::int64_t run = std::min(count, extent - at[last]);
      if (stride == 0)
        std::fill_n(to, run, widened(*from));
      else if (stride == 1)
        for (std::int64_t j = 0; j < run; ++j)
          to[j] = widened(from[j]);
      else
        for (std::int64_t j = 0; j < run; ++j)
          to[j] = widened(from[j * stride]);
      to += run;
      count -= run;
      from += (run - 1) * stride;
      at[last] += run - 1;
      for (int axis = last; axis >= 0; --axis) {  // one step on, as an odometer
        from += strides_[axis];
        if (++at[axis] < shape_[axis])
          break;
        from -= at[axis] * strides_[axis];
        at[axis] = 0;
      }
    }
    return buffer;
  }

  const S* data_;
  Shape shape_;
  Strides strides_;
  int rank_;
  bool constant_, contiguous_;
};

// One result: written in place, or by way of a buffer where it is bf16 or not wanted.
template <class S, class T>
T* place(void* out, std::int64_t begin, T* buffer) {
  if constexpr (std::is_same_v<S, T>)
    if (out)
      return static_cast<T*>(out) + begin;
  return buffer;
}
template <class S, class T>
void finish(void* out, std::int64_t begin, std::int64_t count, const T* buffer) {
  if constexpr (!std::is_same_v<S, T>)
    if (out)
      std::transform(buffer, buffer + count, static_cast<S*>(out) + begin,
                     [](T x) { return S(x); });
}

constexpr int max_operands = 2 * max_inputs + 1, max_results = max_inputs + 1;

// Presents the problem to `loop` as contiguous arrays of T: x…, then g, then h…, as the order has
// them.
template <Order order, class S, class T>
void run(const PointwiseProblem& problem) {
  const int inputs = problem.formula.inputs;
  const int operands = operands_of(order, inputs), results = results_of(order, inputs);
  const auto operand = [&](int k) -> const PointwiseOperand& {
    return k < inputs ? problem.x[k] : k == inputs ? problem.g : problem.h[k - inputs - 1];
  };

  std::vector<Reader<S, T>> readers;
  bool direct = true;
  for (int k = 0; k < operands; ++k) {
    readers.emplace_back(operand(k), problem.shape);
    direct = direct && readers.back().direct();
  }
  for (int k = 0; k < results; ++k)
    direct = direct && problem.out[k];

  const auto run_block = [&](std::int64_t begin, std::int64_t count, T(*buffers)[block]) {
    const T* in[max_operands];
    T* out[max_results];
    for (int k = 0; k < operands; ++k)
      in[k] = readers[k].read(begin, count, buffers[k]);
    for (int k = 0; k < results; ++k)
      out[k] = place<S>(problem.out[k], begin, buffers[max_operands + k]);
    const void* constants = problem.formula.formula;
    if constexpr (order == Order::value)
      first_order<T>(problem.formula).value(constants, in, out[0], count);
    else if constexpr (order == Order::gradients)
      first_order<T>(problem.formula).gradients(constants, in, in[inputs], out, count);
    else
      Tables<T, Formulas>::second[problem.formula.index].second(constants, in, in[inputs],
                                                                in + inputs + 1, out, count);
    for (int k = 0; k < results; ++k)
      finish<S>(problem.out[k], begin, count, out[k]);
  };

  const std::int64_t n = problem.shape.numel();
  parallel_for(n, grain_for(n), [&](std::int64_t begin, std::int64_t end) {
    alignas(64) T buffers[max_operands + max_results][block];
    const std::int64_t step = direct ? end - begin : block;
    for (std::int64_t at = begin; at < end; at += step)
      run_block(at, std::min(step, end - at), buffers);
  });
}

template <Order order>
void run(const PointwiseProblem& problem) {
  switch (problem.dtype) {
    case DType::f64:
      return run<order, double, double>(problem);
    case DType::bf16:
      return run<order, bf16, float>(problem);
    default:
      return run<order, float, float>(problem);
  }
}

const Registered<PointwiseBackend> registered(pointwise_family(), Device::cpu, Source::own,
                                              {"pointwise", run<Order::value>,
                                               run<Order::gradients>, run<Order::second>});

}  // namespace
}  // namespace likely::kernels
