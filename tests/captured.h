// What a test's subject says on the terminal.
#pragma once
#include <unistd.h>

#include <cstdio>
#include <string>

namespace likely {

// While alive: what is written to a descriptor (1: stdout, 2: stderr) is kept here.
class Captured {
 public:
  explicit Captured(int descriptor) : descriptor_(descriptor) {
    std::fflush(nullptr);
    before_ = dup(descriptor);
    dup2(fileno(file_), descriptor);
  }
  Captured(const Captured&) = delete;
  ~Captured() {
    std::fflush(nullptr);
    dup2(before_, descriptor_);
    close(before_);
    std::fclose(file_);
  }
  std::string text() const {
    std::fflush(nullptr);
    std::rewind(file_);
    std::string text(1 << 20, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }

 private:
  int descriptor_, before_ = -1;
  std::FILE* file_ = std::tmpfile();
};

}  // namespace likely
