// Safetensors files: read strictly, written so that equal tensors give equal bytes.
#pragma once
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tensor/file.h"

namespace likely {

// The content of a file: names are unique, UTF-8, at most 4096 bytes.
struct SafeTensors {
  std::vector<std::pair<std::string, Tensor>> tensors;  // in the order of the header
  std::map<std::string, std::string> metadata;

  const Tensor& at(const std::string& name) const;  // DataError naming the nearest where missing
};

// Every tensor has storage of its own, on the CPU. DataError names the file, the tensor and the
// rule that the file breaks, before anything is allocated for its tensors.
SafeTensors load_safetensors(const std::string& path);
SafeTensors from_safetensors(std::span<const std::byte> bytes, const std::string& name);

// The header lists the tensors in their order; the data lies by descending element size, so that
// readers which map the file find every tensor aligned. Strided tensors are written in row-major
// order. A checkpoint writes through the sink: no second copy of the tensors is made.
void write_safetensors(const SafeTensors& content, const ByteSink& sink);
std::vector<std::byte> to_safetensors(const SafeTensors& content);
void save_safetensors(const std::string& path, const SafeTensors& content);  // SaveError

}  // namespace likely
