// The kernels of pointwise formulas in any order of differentiation, built from the list Formulas,
// and their variants. (Value and gradients are compiled in one file, second order in another.)
#pragma once
#include <algorithm>
#include <cstring>

#include "kernels/convert.h"
#include "kernels/cuda/elements.h"
#include "kernels/derivatives.h"
#include "kernels/pointwise.h"

namespace likely::kernels {
namespace cuda {
void second_order(const PointwiseProblem& problem);
}
namespace {

// One type for all formulas, so that a launch is compiled once an order.
template <Order order>
struct PointwiseArguments {
  static constexpr int operands = operands_of(order, max_inputs);
  cuda::Layout<operands> layout;
  const void* in[operands]{};                  // x…, g, h…; null: zero everywhere
  void* out[results_of(order, max_inputs)]{};  // contiguous; null: not wanted
  double constants[2]{};                       // the bytes of the formula
};

// Column j of the results, from column j of the operands, a line each.
template <Order order, class F, class T, std::size_t... i>
LIKELY_DEVICE_SHARED void evaluate_at(const F& f, const T* const* in, T* const* out, int j,
                                      std::index_sequence<i...> inputs) {
  constexpr std::size_t g = sizeof...(i);
  if constexpr (order == Order::value)
    out[0][j] = f(in[i][j]...);
  else if constexpr (order == Order::gradients)
    gradients_at(f, in, in[g][j], out, j, inputs);
  else
    second_at(f, in, in[g][j], in + g + 1, out, j, inputs);
}

// Elements a thread computes where every operand packs (Layout): as many as sixteen bytes hold. Not
// in f64, where two gain nothing; nor eight in second order, which is long to compile.
template <Order order, class S>
constexpr int pack_width = sizeof(S) == 8           ? 1
                           : order == Order::second ? 4
                                                    : 16 / sizeof(S);

// The operands of `count` elements from `begin` on, and the results. They depend on no formula.
template <Order order, class S, int operands, int width>
LIKELY_DEVICE_SHARED void read_operands(const PointwiseArguments<order>& a, std::int64_t begin,
                                        int count, Computed<S> (&in)[operands][width]) {
  const auto offsets = cuda::offsets_of<operands>(a.layout, begin);
  S stored[operands][width]{};
  LIKELY_UNROLL
  for (int k = 0; k < operands; ++k)
    if (a.in[k])
      cuda::read(stored[k], static_cast<const S*>(a.in[k]) + offsets.of[k],
                 a.layout.stride[k][a.layout.rank - 1], count);
  LIKELY_UNROLL
  for (int k = 0; k < operands; ++k)
    LIKELY_UNROLL
  for (int j = 0; j < width; ++j)
    in[k][j] = static_cast<Computed<S>>(stored[k][j]);
}
template <Order order, class S, int results, int width>
LIKELY_DEVICE_SHARED void write_results(const PointwiseArguments<order>& a, std::int64_t begin,
                                        int count, const Computed<S> (&out)[results][width]) {
  LIKELY_UNROLL
  for (int k = 0; k < results; ++k)
    if (a.out[k]) {
      S rounded[width];
      LIKELY_UNROLL
      for (int j = 0; j < width; ++j)
        rounded[j] = static_cast<S>(out[k][j]);
      cuda::write(static_cast<S*>(a.out[k]) + begin, rounded, count);
    }
}

template <Order order, class F, class S, int width>
__global__ void __launch_bounds__(cuda::block_threads) evaluate(PointwiseArguments<order> a) {
  constexpr int inputs = arity<F>();
  constexpr int operands = operands_of(order, inputs), results = results_of(order, inputs);
  static_assert(sizeof(F) <= sizeof a.constants, "give a formula's constants more room here");
  const std::int64_t begin = cuda::thread_number() * width, left = a.layout.count - begin;
  if (left <= 0)
    return;
  const int count = left < width ? static_cast<int>(left) : width;
  Computed<S> in[operands][width], out[results][width];
  read_operands<order, S>(a, begin, count, in);
  const Computed<S>* from[operands];
  Computed<S>* to[results];
  LIKELY_UNROLL
  for (int k = 0; k < operands; ++k)
    from[k] = in[k];
  LIKELY_UNROLL
  for (int k = 0; k < results; ++k)
    to[k] = out[k];
  const F& f = *reinterpret_cast<const F*>(a.constants);
  LIKELY_UNROLL
  for (int j = 0; j < width; ++j)
    evaluate_at<order>(f, from, to, j, InputsOf<F>());
  write_results<order, S>(a, begin, count, out);
}

template <Order order, class S, int width, class All>
struct KernelsOf;
template <Order order, class S, int width, class... F>
struct KernelsOf<order, S, width, List<F...>> {
  static constexpr void (*kernels[])(PointwiseArguments<order>) = {evaluate<order, F, S, width>...};
  static constexpr std::size_t bytes[] = {sizeof(F)...};  // of the formulas
};

// ---- Proofs: every formula, with the same constants for all that have some.

constexpr double proof_constants[] = {-0.25, 0.75};

template <class... F>
std::vector<FormulaCall> calls(List<F...>) {
  int index = 0;
  return {{index++, F::name, arity<F>(), proof_constants}...};
}

// x, then g, then h from its end are `operands` in their order, again and again. (Along h = x a
// quotient does not change: there would be nothing to compare.)
template <Order order>
Tensors every_formula(const Tensors& operands) {
  Tensors results;
  for (const FormulaCall& f : calls(Formulas{})) {
    int next = 0;
    const auto take = [&] { return operands[next++ % operands.size()]; };
    Tensors x(f.inputs), h(f.inputs);
    std::generate(x.begin(), x.end(), take);
    const Tensor g = take();
    std::generate(h.rbegin(), h.rend(), take);
    const unsigned wanted = (1u << results_of(order, f.inputs)) - 1;
    const Tensors made = order == Order::value       ? Tensors{pointwise(f, x)}
                         : order == Order::gradients ? pointwise_gradients(f, x, g, wanted)
                                                     : pointwise_second(f, x, g, h, wanted);
    results.insert(results.end(), made.begin(), made.end());
  }
  return results;
}

template <Order order>
constexpr const char* named(const char* value, const char* gradients, const char* second) {
  return order == Order::value ? value : order == Order::gradients ? gradients : second;
}

template <Order order, class S>
const Variant packed{
    "pointwise",
    named<order>("value, packed", "gradients, packed", "second order, packed"),
    dtype_of<S>,
    Proof{"a ragged end", bar_of(dtype_of<S>),
          [](Inputs& in) {
            return every_formula<order>({in.normal({259}), in.normal({259}), in.normal({259})});
          }},
    Proof{"where all functions are defined", bar_of(dtype_of<S>),
          [](Inputs& in) {
            return every_formula<order>(
                {in.uniform({259}, 0.5, 2), in.uniform({259}, 0.5, 2), in.uniform({259}, 0.5, 2)});
          }},
    Proof{"a row and a constant", bar_of(dtype_of<S>), [](Inputs& in) {
            return every_formula<order>({in.normal({5, 64}), in.normal({64}), in.normal({1})});
          }}};

template <Order order, class S>
const Variant strided{
    "pointwise",
    named<order>("value, strided", "gradients, strided", "second order, strided"),
    dtype_of<S>,
    Proof{"one element behind", bar_of(dtype_of<S>),
          [](Inputs& in) {
            const Tensor x = in.normal({260});
            return every_formula<order>({x.slice(0, 1, 260), x.slice(0, 0, 259), in.normal({259})});
          }},
    Proof{"transposed", bar_of(dtype_of<S>),
          [](Inputs& in) {
            return every_formula<order>({in.uniform({37, 7}, 0.5, 2).transpose(),
                                         in.uniform({7, 37}, 0.5, 2), in.normal({7, 1})});
          }},
    Proof{"three axes, every second", bar_of(dtype_of<S>), [](Inputs& in) {
            const Tensor x = in.normal({4, 6, 9});
            return every_formula<order>(
                {x.slice(1, 0, 6, 2), in.normal({3, 9}), in.normal({9}), in.normal({4, 1, 1})});
          }}};

// ---- Launches

template <Order order, class S>
void launch_pointwise(const PointwiseProblem& problem) {
  const FormulaCall& f = problem.formula;
  const int inputs = f.inputs, operands = operands_of(order, inputs);
  PointwiseArguments<order> a{cuda::Layout<operands_of(order, max_inputs)>(problem.shape)};
  std::memcpy(a.constants, f.formula, KernelsOf<order, S, 1, Formulas>::bytes[f.index]);
  constexpr int width = pack_width<order, S>;
  bool packs = width > 1;
  for (int k = 0; k < operands; ++k) {
    const PointwiseOperand& operand = k < inputs    ? problem.x[k]
                                      : k == inputs ? problem.g
                                                    : problem.h[k - inputs - 1];
    a.in[k] = operand.data;
    a.layout.set(k, operand.strides);
    packs = packs && a.layout.packs(k, operand.data, sizeof(S), width);
  }
  for (int k = 0; k < results_of(order, inputs); ++k)
    a.out[k] = problem.out[k];

  if constexpr (width > 1)
    if (packs && packed<order, S>.usable())
      return cuda::launch(packed<order, S>, KernelsOf<order, S, width, Formulas>::kernels[f.index],
                          cuda::threads_for(cuda::quotient_up(a.layout.count, width)), a);
  cuda::launch(strided<order, S>, KernelsOf<order, S, 1, Formulas>::kernels[f.index],
               cuda::threads_for(a.layout.count), a);
}

template <Order order>
void launch_pointwise(const PointwiseProblem& problem) {
  switch (problem.dtype) {
    case DType::f64:
      return launch_pointwise<order, double>(problem);
    case DType::bf16:
      return launch_pointwise<order, bf16>(problem);
    default:
      return launch_pointwise<order, float>(problem);
  }
}

}  // namespace
}  // namespace likely::kernels
