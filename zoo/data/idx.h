// IDX, the format of MNIST: two zero bytes, a type, a rank, big-endian extents, values. Raw or
// gzip, told apart by content; read strictly, each fault under its own name.
#pragma once
#include <filesystem>
#include <string>

#include "tensor/tensor.h"

namespace likely {

// A u8 tensor of the file's shape. Memory is taken only once the file can hold what its header
// declares.
Tensor read_idx(const std::filesystem::path& file);

Shape read_idx_shape(const std::filesystem::path& file);  // as its header declares it

// Images and their labels, 0 … classes - 1: equally many.
struct LabelledImages {
  Tensor images, labels;
};
LabelledImages read_labelled_images(const std::filesystem::path& images,
                                    const std::filesystem::path& labels, int classes);

// Of the uncompressed file, in lower-case hexadecimal.
std::string content_sha256(const std::filesystem::path& file);

}  // namespace likely
