// oneDNN on the CPU, for the families that have it: a module of its own, so that likely starts
// where libdnnl is missing.
#pragma once
#include <omp.h>

#include <dnnl.hpp>
#include <memory>
#include <unordered_map>

#include "kernels/activation.h"
#include "kernels/parallel.h"
#include "kernels/vendor/kept.h"
#include "tensor/dtype.h"

namespace likely::kernels::onednn {

using dnnl::memory;
using Arguments = std::unordered_map<int, memory>;

inline const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

inline memory::data_type type_of(DType dtype) {
  return dtype == DType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
}

inline memory at(const memory::desc& description, const void* data) {
  return memory(description, engine(), const_cast<void*>(data));
}

inline void execute(const dnnl::primitive& primitive, const Arguments& arguments) {
  dnnl::stream stream(engine());
  primitive.execute(stream, arguments);
  stream.wait();
}

// Scratch memory is ours; sums start from the result, and an activation ends them.
template <class Problem>
dnnl::primitive_attr attributes_of(const Problem& p) {
  dnnl::post_ops operations;
  if (p.add)
    operations.append_sum(1);
  if (p.activation == Activation::relu)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
  if (p.activation == Activation::leaky_relu)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_relu, static_cast<float>(p.slope), 0);
  if (p.activation == Activation::tanh)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_tanh, 0, 0);
  if (p.activation == Activation::sigmoid)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_logistic, 0, 0);
  if (p.activation == Activation::silu)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_swish, 1, 0);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(operations);
  return attributes;
}

// Ours, told to OpenMP: oneDNN asks it when it makes a primitive and when it executes one.
inline int told_threads() {
  if (omp_get_max_threads() != threads())
    omp_set_num_threads(threads());
  return threads();
}

}  // namespace likely::kernels::onednn
