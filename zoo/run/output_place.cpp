#include "zoo/run/output_place.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace likely {
namespace {

namespace fs = std::filesystem;

// The number of the open file that a name such as /dev/fd/3 stands for; -1 of any other.
int descriptor_of(const std::string& path) {
  if (path == "/dev/stdout")
    return STDOUT_FILENO;
  if (path == "/dev/stderr")
    return STDERR_FILENO;
  for (const std::string folder : {"/dev/fd/", "/proc/self/fd/"})
    if (path.starts_with(folder)) {
      int number = -1;
      const char* const end = path.data() + path.size();
      const auto [rest, error] = std::from_chars(path.data() + folder.size(), end, number);
      return error == std::errc() && rest == end ? number : -1;
    }
  return -1;
}

bool open_for_writing(int descriptor) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

}  // namespace

void require_writable(const std::string& what, const std::string& folder, FileSystem& files,
                      const std::string& name) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  require<UsageError>(status.type() != fs::file_type::not_found,
                      "{}: there is no folder {}. Make it first: mkdir -p {}", what, folder,
                      folder);
  require<UsageError>(status.type() != fs::file_type::none, "{}: cannot look into {}: {}.", what,
                      folder, error.message());
  require<UsageError>(fs::is_directory(status), "{}: {} is a file, not a folder.", what, folder);
  const std::string probe = partial_name(folder + "/" + name);
  const int file = files.create(probe);
  require<UsageError>(file >= 0, "{}: no file can be made in {}: {}. Choose another place.", what,
                      folder, std::strerror(errno));
  files.close(file);
  files.remove(probe);
}

OutputPlace::OutputPlace(const std::string& option, std::string path, FileSystem& files)
    : path_(std::move(path)), files_(files), descriptor_(descriptor_of(path_)) {
  require<UsageError>(!path_.empty(), "{}: the file's name is empty. Give one.", option);
  const std::string what = option + " " + path_;
  if (descriptor_ >= 0) {
    kind_ = Kind::descriptor;
    require<UsageError>(open_for_writing(descriptor_), "{}: it is not open for writing.", what);
    return;
  }
  std::error_code error;
  if (fs::is_symlink(path_, error) && fs::exists(path_, error))
    path_ = fs::canonical(path_, error).string();  // the link stays, what it names is replaced
  const fs::file_status status = fs::status(path_, error);
  require<UsageError>(!fs::is_directory(status),
                      "{}: it is a folder. Give the name of a file in it.", what);
  if (fs::is_character_file(status)) {
    kind_ = Kind::device;
    require<UsageError>(::access(path_.c_str(), W_OK) == 0, "{}: cannot be written: {}.", what,
                        std::strerror(errno));
    return;
  }
  require<UsageError>(!fs::exists(status) || fs::is_regular_file(status),
                      "{}: it is no ordinary file, but a pipe, a socket or a disk. Give the name "
                      "of a file.",
                      what);
  const fs::path file(path_);
  require_writable(what, file.has_parent_path() ? file.parent_path().string() : ".", files_,
                   file.filename().string());
}

void OutputPlace::write(const FileContent& content) const {
  if (kind_ == Kind::file)
    return replace_file(files_, path_, content);
  std::fflush(nullptr);  // what was printed comes first
  const int file = kind_ == Kind::device ? files_.append(path_) : descriptor_;
  if (file < 0)
    fail_to_save("open " + path_);
  try {
    content([&](const void* data, std::size_t bytes) {
      write_whole(files_, file, path_, data, bytes);
    });
  } catch (...) {
    if (kind_ == Kind::device)
      files_.close(file);
    throw;
  }
  if (kind_ == Kind::device && files_.close(file) != 0)
    fail_to_save("close " + path_);
}

void OutputPlace::write(std::string_view content) const {
  write([&](const ByteSink& sink) { sink(content.data(), content.size()); });
}

void write_each(std::initializer_list<std::function<void()>> writes) {
  std::string problems;
  for (const std::function<void()>& write : writes) {
    try {
      write();
    } catch (const Error& error) {
      problems += (problems.empty() ? "" : " ") + std::string(error.what());
    }
  }
  if (!problems.empty())
    fail<SaveError>("{}", problems);
}

}  // namespace likely
