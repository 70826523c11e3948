// IDX files: what is read, and every way in which a file can be wrong under its own name.
#include "tensor/allocator.h"
#include "tests/zoo/data_files.h"
#include "zoo/data/idx.h"

using namespace likely;

namespace {

const Bytes six = {1, 2, 3, 4, 5, 6};

std::string error_of(const std::string& file) {
  return data_error([&] { read_idx(file); });
}

}  // namespace

TEST_CASE("idx: raw and gzip files give the shape and the bytes of their header") {
  const TemporaryFolder folder;
  for (const Bytes& bytes : {idx({1, 2, 3}, six), gzip(idx({1, 2, 3}, six))}) {
    const Tensor tensor = read_idx(folder.write("good", bytes));
    CHECK(tensor.shape() == Shape{1, 2, 3});
    CHECK(tensor.to_vector<std::uint8_t>() == six);
  }
}

TEST_CASE("idx: a missing file and a folder are named") {
  const TemporaryFolder folder;
  const std::string missing = folder / "missing";
  CHECK(error_of(missing) == "read: cannot read " + missing + ": No such file or directory.");
  CHECK(error_of(folder.path()) ==
        "read: cannot read " + folder.path() + ": it is a folder. Put a regular file there.");
}

TEST_CASE("idx: each fault of a header has its message") {
  const TemporaryFolder folder;
  const auto check = [&](const Bytes& bytes, const std::string& fault) {
    const std::string file = folder.write("bad", bytes);
    CHECK(error_of(file) == "idx: " + file + fault);
    const std::string packed = folder.write("bad.gz", gzip(bytes));
    CHECK(error_of(packed) == "idx: " + packed + fault);
  };
  const Bytes good = idx({1, 2, 3}, six);
  for (std::size_t length = 0; length < 16; ++length)
    check(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)),
          " ends inside its header. Fetch it again.");
  check({0x89, 0x50, 0x4e, 0x47},
        " is no IDX file: it starts with the bytes 89 50, not 00 00. Put an IDX file there, raw or "
        "gzip.");
  check(idx({6}, six, 0x0d),
        " holds values of type 0x0d: images and labels are unsigned bytes, 0x08. Convert it.");
  check(idx({}, six), " declares 0 dimensions, labels have 1 and images 3 or 4. Fetch it again.");
  check(idx({1, 1, 1, 1, 6}, six),
        " declares 5 dimensions, labels have 1 and images 3 or 4. Fetch it again.");
  check(
      idx({0xffffffff, 0xffffffff, 0xffffffff}, six),
      " declares the shape [4294967295, 4294967295, 4294967295], more values than can be counted. "
      "Fetch it again.");
  check(idx({6, 0, 3}, {}), " declares the shape [6, 0, 3], no values. Fetch it again.");
}

TEST_CASE("idx: a header that promises more than the file can hold takes no memory") {
  const TemporaryFolder folder;
  const std::size_t before = allocator_of({}).counters().in_use;
  allocator_of({}).reset_peaks();
  for (const Bytes& bytes : {idx({0x10000, 0x10000, 64}, six), gzip(idx({1000, 1000}, six))}) {
    const std::string file = folder.write("bad", bytes);
    const std::string shape = bytes[0] == 0 ? "[65536, 65536, 64]" : "[1000, 1000]";
    CHECK(error_of(file) == "idx: " + file + " ends early: its header declares the shape " + shape +
                                ", which a file of this size cannot hold. Fetch it again.");
  }
  CHECK(allocator_of({}).counters().peak_in_use == before);
}

TEST_CASE("idx: too few and too many values") {
  const TemporaryFolder folder;
  const std::string early = folder.write("early.gz", gzip(idx({7}, six)));
  CHECK(error_of(early) == "idx: " + early +
                               " ends early: its header declares the shape [7], 7 values, and 6 "
                               "follow. Fetch it again.");
  for (const Bytes& bytes : {idx({5}, six), gzip(idx({5}, six))}) {
    const std::string late = folder.write("late", bytes);
    CHECK(error_of(late) ==
          "idx: " + late + " goes on after the 5 values that its header declares. Fetch it again.");
  }
  // A small file that would unpack to 64 MB: only what the header declares is unpacked.
  Bytes bomb = idx({6}, six);
  bomb.resize(64 << 20);
  const std::string file = folder.write("bomb.gz", gzip(bomb));
  allocator_of({}).reset_peaks();
  CHECK(error_of(file) ==
        "idx: " + file + " goes on after the 6 values that its header declares. Fetch it again.");
  CHECK(allocator_of({}).counters().peak_in_use < 1 << 20);
}

TEST_CASE("gzip: a stream cut anywhere is an error, and a flipped bit never changes what is read") {
  const TemporaryFolder folder;
  Bytes values(100);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::uint8_t>(i * i);
  const Bytes good = gzip(idx({100}, values));
  for (std::size_t length = 2; length < good.size(); ++length) {
    const std::string file = folder.write(
        "cut.gz", Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)));
    const std::string message = error_of(file);
    CHECK_MESSAGE(message != "no error", "cut after ", length, " bytes");
  }
  for (std::size_t at = 10; at < good.size(); ++at) {  // before are flags that change nothing
    Bytes damaged = good;
    damaged[at] ^= 0x10;
    const std::string file = folder.write("flipped.gz", damaged);
    const bool refused = error_of(file) != "no error";  // else the bit only filled up a byte
    CHECK_MESSAGE((refused || read_idx(file).to_vector<std::uint8_t>() == values), "byte ", at);
  }
}

TEST_CASE("gzip: truncation, a wrong checksum and trailing bytes have their messages") {
  const TemporaryFolder folder;
  const Bytes good = gzip(idx({6}, six));
  Bytes cut(good.begin(), good.end() - 3);
  std::string file = folder.write("cut.gz", cut);
  CHECK(error_of(file) == "gzip: " + file + " ends inside its compressed data, after " +
                              std::to_string(cut.size()) + " bytes. Fetch it again.");
  Bytes checksum = good;
  checksum[good.size() - 8] ^= 1;
  file = folder.write("checksum.gz", checksum);
  CHECK(error_of(file) == "gzip: " + file + " is damaged (incorrect data check). Fetch it again.");
  Bytes trailing = good;
  trailing.push_back(0);
  file = folder.write("trailing.gz", trailing);
  CHECK(error_of(file) == "gzip: " + file + " goes on after its compressed data. Fetch it again.");
}

TEST_CASE("idx: images and labels must fit each other") {
  const TemporaryFolder folder;
  const std::string images = folder.write("images", idx({2, 1, 3}, six));
  const auto error = [&](const std::string& labels) {
    return data_error([&] { read_labelled_images(images, labels, 10); });
  };
  const std::string good = folder.write("good", idx({2}, {9, 0}));
  const LabelledImages both = read_labelled_images(images, good, 10);
  CHECK(both.images.shape() == Shape{2, 1, 3});
  CHECK(both.labels.to_vector<std::uint8_t>() == Bytes{9, 0});
  const std::string three = folder.write("three", idx({3}, {9, 0, 1}));
  CHECK(error(three) == "idx: " + images + " has 2 images and " + three +
                            " has 3 labels. Take both files from one release.");
  const std::string ten = folder.write("ten", idx({2}, {9, 10}));
  CHECK(error(ten) ==
        "idx: label 1 of " + ten + " is 10, the classes are 0 to 9. Fetch the file again.");
  CHECK(error(images) ==
        "idx: " + images + " has the shape [2, 1, 3], not that of labels. Is it a file of images?");
  CHECK(data_error([&] { read_labelled_images(good, good, 10); }) ==
        "idx: " + good + " has the shape [2], not that of images. Is it a file of labels?");
}

TEST_CASE("sha256: of the content, whether the file is gzip or not") {
  const TemporaryFolder folder;
  const Bytes abc = {'a', 'b', 'c'};  // FIPS 180-2, appendix B.1
  const std::string digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(content_sha256(folder.write("abc", abc)) == digest);
  CHECK(content_sha256(folder.write("abc.gz", gzip(abc))) == digest);
}
