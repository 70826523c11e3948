// CIFAR-10 in its binary form: records of a label and 32x32 bytes each of red, green and blue.
#pragma once
#include "zoo/data/catalogue.h"
#include "zoo/data/idx.h"

namespace likely {

// Images [count, 32, 32, 3] and labels below 10 of a file with exactly `count` records.
LabelledImages read_cifar(const std::filesystem::path& file, std::int64_t count);

// The published files; the last 5,000 training images are for validation.
DataSetDescription cifar_description();
// 10,000 + 4,000 of its images, for machines with little room: the last 1,000 of the training file
// are for validation.
DataSetDescription small_cifar_description();

}  // namespace likely
