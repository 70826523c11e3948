// DataFacts: what a run records of its data, so that its model can be built without reading it, and
// other data under the same name is noticed.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "zoo/data/data_set.h"

namespace likely {

struct DataFacts {
  std::string name;  // in full: "mnist, sampled binarisation (seed 17)"
  Shape image;
  int levels = 2;
  std::int64_t classes = 0;
  // DataSet::content, and how many images each split has: "3200 + 400 + 400". Empty where an older
  // program recorded none.
  std::string content = {}, images = {};
};

DataFacts facts_of(const DataSet& data);

// Among the facts of a checkpoint.
void record_data(const DataFacts& data, std::map<std::string, std::string>& facts);
// Nothing where an older program recorded none; DataError where they cannot be true.
std::optional<DataFacts> recorded_data(const std::map<std::string, std::string>& facts);

// DataError, in the name of a verb, where the data is not what a run learnt from, as far as that is
// known.
void require_same_data(const char* verb, const DataFacts& learnt, const DataFacts& now);

}  // namespace likely
