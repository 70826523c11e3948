// oneDNN on the CPU, for the families that have it: a module of its own, so that likely starts
// where libdnnl is missing.
#pragma once
#include <omp.h>

#include <dnnl.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "kernels/activation.h"
#include "kernels/parallel.h"
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
    operations.append_eltwise(1, dnnl::algorithm::eltwise_relu, p.slope, 0);
  if (p.activation == Activation::tanh)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_tanh, 0, 0);
  if (p.activation == Activation::sigmoid)
    operations.append_eltwise(1, dnnl::algorithm::eltwise_logistic, 0, 0);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(operations);
  return attributes;
}

// Making a primitive costs milliseconds, so they are kept by everything that they depend on, the
// number of threads among it.
template <class Key, class Primitive>
class Kept {
 public:
  template <class F>
  std::shared_ptr<const Primitive> get(const Key& key, F make) {
    if (omp_get_max_threads() != threads())
      omp_set_num_threads(threads());  // oneDNN asks OpenMP, when it makes and when it executes
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find(key);
    if (found != kept_.end())
      return found->second;
    if (kept_.size() == at_most)
      kept_.clear();
    return kept_[key] = make();
  }

 private:
  static constexpr std::size_t at_most = 512;
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Primitive>> kept_;
};

}  // namespace likely::kernels::onednn
