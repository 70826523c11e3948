// Omniglot, characters of many alphabets, from IDX files.
#pragma once
#include "zoo/data/catalogue.h"

namespace likely {

// 242 characters of 8 alphabets by 20 people. Row r of the file shows character r / 20 (the label)
// by drawer r mod 20: the first 16 drawers are for training, 2 for validation, 2 for test.
DataSetDescription omniglot_description();

}  // namespace likely
