// What NVIDIA's libraries share.
#pragma once
#include "kernels/alignment.h"
#include "kernels/backend.h"
#include "kernels/gpu.h"
#include "kernels/graph.h"
#include "kernels/vendor/kept.h"

namespace likely::kernels {

// While launches are recorded for a graph, nothing else may be asked of a GPU: what
// launches need is made by the same step before.
inline void refuse_in_capture(const char* what) {
  require(!recording(),
          "{} for the first time while launches are recorded for a graph. Run the step once before "
          "it is recorded.",
          what);
}

// A library's handle for the GPU that the front is serving, made on first use and never destroyed:
// the driver may be gone before static storage is.
template <class Handle, class F>
Handle handle_of_gpu(F make) {
  static auto& kept = *new Kept<int, Handle>;
  return *kept.get(current_device().index, [&] {
    refuse_in_capture("a vendor library is opened");
    current_stream();  // makes the GPU this thread's
    auto made = std::make_unique<Handle>();
    make(made.get());
    return made;
  });
}

}  // namespace likely::kernels
