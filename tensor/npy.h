// NumPy's .npy files, one array each: read strictly (versions 1.0 and 2.0), written as version 1.0.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "tensor/file.h"

namespace likely {

// Element types f32, f64, i64, i32 and u8, little endian. An array in Fortran's order becomes a
// tensor of the same shape with the strides of its axes reversed: use contiguous() where that
// matters. DataError names the file and what is wrong, before anything is allocated for the array.
Tensor load_npy(const std::string& path);
Tensor from_npy(std::span<const std::byte> bytes, const std::string& name);

// In row-major order, whatever the strides.
std::vector<std::byte> to_npy(const Tensor& tensor);
void save_npy(const std::string& path, const Tensor& tensor);  // SaveError

}  // namespace likely
