// What the families through cuDNN share: graphs of operations, in the words of its C interface, and
// the plans that execute them.
#pragma once
#include <cudnn.h>

#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kernels/vendor/gpu.h"

namespace likely::kernels::cudnn {

void check(cudnnStatus_t status);

// One for each GPU. Its stream is that of the latest launch, so launches take turns.
cudnnHandle_t handle();

// A part of a graph, or a plan: attributes are set, then it is finished, which may be refused.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &it_));
  }
  Descriptor(Descriptor&& other) noexcept : it_(std::exchange(other.it_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(it_, other.it_);
    return *this;
  }
  ~Descriptor() {
    if (it_)
      cudnnBackendDestroyDescriptor(it_);
  }

  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T* values,
           std::size_t count) {
    check(cudnnBackendSetAttribute(it_, name, type, static_cast<std::int64_t>(count), values));
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           std::initializer_list<T> values) {
    set(name, type, values.begin(), values.size());
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
    return count < most ? count : most;
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

// The GPU that plans are made for: null for that of handle(), or one that is described.
using Described = const Descriptor*;
Descriptor described(const std::string& json);

// A tensor of a graph. Operations that name the same one are joined by it.
enum class Lies { in_memory, on_the_host, nowhere };  // a scalar; a value on the way
struct TensorOf {
  std::int64_t name;
  cudnnDataType_t type;
  std::vector<std::int64_t> extents, strides;
  Lies lies = Lies::in_memory;
  std::int64_t alignment = 16;  // of its address, in bytes
};
Descriptor tensor(const TensorOf& what);
cudnnDataType_t type_of(DType dtype);

struct Plan {
  Descriptor execute{CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR};
  std::int64_t workspace = 0;
  unsigned notes = 0;  // a bit for each cudnnBackendNumericalNote_t of its engine
};

// Operations on tensors, f32 within, and the plans for all of them as one.
class Operations {
 public:
  void add(Descriptor operation) { operations_.push_back(std::move(operation)); }
  void pointwise(cudnnPointwiseMode_t mode, const TensorOf& x, const TensorOf& y);
  void pointwise(cudnnPointwiseMode_t mode, const TensorOf& x, const TensorOf& b,
                 const TensorOf& y);
  void relu(const TensorOf& x, const TensorOf& y, double slope);
  void relu_gradient(const TensorOf& g, const TensorOf& y, const TensorOf& gx, double slope);
  void reduce(cudnnReduceTensorOp_t mode, const TensorOf& x, const TensorOf& y);
  void product(const TensorOf& a, const TensorOf& b, const TensorOf& c);
  void reshape(const TensorOf& x, const TensorOf& y);

  // The first that can be built from the one of that number on, 0 being the best as cuDNN's
  // heuristics see it; null where there is none. None whose bits differ from run to run, or that
  // reads operands or adds up sums in fewer digits; where `strict`, none on tensor cores either,
  // which read f32 as tf32.
  std::unique_ptr<Plan> plan(bool strict, Described gpu, int number = 0) const;

 private:
  std::vector<Descriptor> operations_;
};

// Makes the current device's stream that of handle() until the next launch.
std::unique_lock<std::mutex> on_stream();
void execute(const Plan& plan, std::initializer_list<std::int64_t> names,
             std::initializer_list<const void*> addresses, void* workspace);

}  // namespace likely::kernels::cudnn
