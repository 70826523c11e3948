// What a GPU multiplies and adds at most, from registers alone: the roof over its kernels.
#pragma once
#include <string>

namespace likely {

// Operations a second of f32 multiply-adds, or of mma instructions on tf32 or bf16. (Hopper's own
// wgmma, which no kernel here uses yet, reaches about a half more than mma.)
double measure_gpu_peak(const std::string& precision);

}  // namespace likely
