// What a judge found, by name.
#pragma once
#include <map>
#include <string>

#include "zoo/run/judge.h"

namespace likely {

inline std::map<std::string, double> by_key(const Figures& figures) {
  std::map<std::string, double> result;
  for (const Figure& figure : figures)
    result[figure.key] = figure.value;
  return result;
}

}  // namespace likely
