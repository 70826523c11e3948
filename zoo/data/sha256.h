// Sha256: a digest of bytes that come in parts.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace likely {

class Sha256 {
 public:
  Sha256();
  void add(const void* bytes, std::size_t count);
  std::string digest();  // in lower-case hexadecimal; of all that was added, once

 private:
  std::unique_ptr<void, void (*)(void*)> context_;
  bool good_;
};

}  // namespace likely
