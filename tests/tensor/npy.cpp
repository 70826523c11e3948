#include "tensor/npy.h"

#include <filesystem>

#include "format_tools.h"

using namespace likely;

namespace {

constexpr const char* plain_header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";

// A file of version 1.0 with that header.
std::string npy_file(const std::string& header, const std::string& data = std::string(8, '\0')) {
  return std::string("\x93NUMPY\x01\x00", 8) + number(header.size(), 2) + header + data;
}

Tensor read_npy(const std::string& text) { return from_npy(bytes_from(text), "x.npy"); }

std::string npy_refusal(const std::string& header) {
  return message([&] { read_npy(npy_file(header)); });
}

std::string described(const std::string& descr, const std::string& shape = "(2,)") {
  return npy_refusal("{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape +
                     ", }\n");
}

}  // namespace

TEST_CASE("npy: every type comes back as it was written") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8})
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{2, 0, 4}, Shape::filled(8, 1)})
      check_same(from_npy(to_npy(sample(shape, dtype)), "x.npy"), sample(shape, dtype));
  CHECK_THROWS_WITH_AS(to_npy(sample({2}, DType::bf16)),
                       "npy: NumPy has no bf16. Cast to f32 first.", Error);
}

TEST_CASE("npy: strided tensors are written in row-major order") {
  const Tensor x = sample({4, 6}, DType::i32);
  check_same(from_npy(to_npy(x.transpose()), "x.npy"), x.transpose());
  check_same(from_npy(to_npy(x.slice(1, 1, 6, 2)), "x.npy"), x.slice(1, 1, 6, 2));
}

TEST_CASE("npy: the bytes are those that NumPy writes") {
  // np.save of np.array([[1, 2, 3]], dtype=np.uint8).
  const std::string header =
      "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3), }" + std::string(58, ' ') + "\n";
  CHECK(to_npy(Tensor::of<std::uint8_t>({1, 3}, {1, 2, 3})) ==
        bytes_from(npy_file(header, "\x01\x02\x03")));
  const auto start = [](const Tensor& tensor) {
    const Bytes bytes = to_npy(tensor);
    return std::string(reinterpret_cast<const char*>(bytes.data()) + 10, 57);
  };
  CHECK(start(sample({2}, DType::f32)) ==
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
  CHECK(start(sample({}, DType::f64)) ==
        "{'descr': '<f8', 'fortran_order': False, 'shape': (), }  ");
}

TEST_CASE("npy: version 2.0, other quotes, spaces and orders of keys are read") {
  const std::string header = "{ \"shape\" : ( 2 , ) , 'fortran_order':False,'descr':\"<i4\"} \n";
  const std::string data = number(5, 4) + number(6, 4);
  const Tensor x =
      read_npy(std::string("\x93NUMPY\x02\x00", 8) + number(header.size(), 4) + header + data);
  CHECK(x.to_vector<std::int32_t>() == std::vector<std::int32_t>{5, 6});
}

TEST_CASE("npy: Fortran's order becomes strides") {
  // The array [[1, 2, 3], [4, 5, 6]], columns first in the file.
  const std::string header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n";
  const Tensor x = read_npy(npy_file(header, "\x01\x04\x02\x05\x03\x06"));
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.strides() == Strides{1, 2});
  CHECK(x.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("npy: files on disk") {
  const std::string path = (std::filesystem::temp_directory_path() / "likely-test.npy").string();
  save_npy(path, sample({2, 3}, DType::f64));
  check_same(load_npy(path), sample({2, 3}, DType::f64));
  std::filesystem::remove(path);
  CHECK(message([&] { load_npy(path); }) ==
        "npy: cannot read " + path + ": No such file or directory.");
}

TEST_CASE("npy: a file that is none, or of a version nobody knows") {
  CHECK(message([] { read_npy("\x93NUMPY"); }) == "npy: x.npy: 6 bytes are no .npy file.");
  CHECK(message([] { read_npy(std::string("\x93NUMPY\x02\x00\x01\x00\x00", 11)); }) ==
        "npy: x.npy: 11 bytes are no .npy file.");
  CHECK(message([] { read_npy("PK\x03\x04 a zip file"); }) ==
        "npy: x.npy: it does not begin as a .npy file does.");
  for (const std::string& version : {std::string("\x03\x00", 2), std::string("\x01\x01", 2)})
    CHECK(message([&] { read_npy("\x93NUMPY" + version + std::string(80, ' ')); }) ==
          fmt::format("npy: x.npy: version {}.{} is neither 1.0 nor 2.0.", int(version[0]),
                      int(version[1])));
}

TEST_CASE("npy: the header fits into the file") {
  const std::string two = std::string("\x93NUMPY\x02\x00", 8);
  CHECK(message([&] { read_npy(two + number(65536, 4) + plain_header); }) ==
        "npy: x.npy: a header of 65536 bytes is longer than 65535.");
  CHECK(message([&] { read_npy(two + number(200, 4) + plain_header); }) ==
        "npy: x.npy: a header of 200 bytes does not fit into 70 bytes. The file was cut short.");
}

TEST_CASE("npy: the header is one dictionary with its three keys") {
  const auto wrong = [](int byte) {
    return fmt::format(
        "npy: x.npy: byte {} of the header is wrong: it must be a dictionary of "
        "descr, fortran_order and shape, then spaces and a newline. The file is "
        "damaged: save it again.",
        byte);
  };
  CHECK(npy_refusal(plain_header) == "no error");
  CHECK(npy_refusal("") == wrong(0));
  CHECK(npy_refusal("[]\n") == wrong(0));
  CHECK(npy_refusal("{}\n") == wrong(2));
  CHECK(npy_refusal("{'descr': '<f4', 'descr': '<f4', }\n") == wrong(25));
  CHECK(npy_refusal("{'more': 1, }\n") == wrong(8));
  CHECK(npy_refusal("{'descr': '<f4', 'fortran_order': False, }\n") == wrong(42));
  CHECK(npy_refusal("{'descr': '<f4', 'fortran_order': false, }\n") == wrong(34));
  CHECK(npy_refusal("{'descr': '<f4") == wrong(10));
  CHECK(npy_refusal("{'descr': '\\x3cf4', }\n") == wrong(10));
  CHECK(npy_refusal("{'descr': 4, }\n") == wrong(10));
  const std::string body(plain_header, std::strlen(plain_header) - 1);
  CHECK(npy_refusal(body) == wrong(57));
  CHECK(npy_refusal(body + " x\n") == wrong(58));
  CHECK(npy_refusal(body + "\n\n") == wrong(57));
  for (const char* shape : {"(2)", "2", "(2,", "(,)", "(-2,)", "(2 3)", "(2L,)", "(2,,)"})
    CHECK(described("'<f4'", shape).find("of the header is wrong") != std::string::npos);
}

TEST_CASE("npy: element types that are none of ours are named") {
  CHECK(described("'|O'") ==
        "npy: x.npy: the array holds Python objects, which only Python can read. Save numbers "
        "instead.");
  CHECK(described("[('x', '<f4')]") ==
        "npy: x.npy: the array has several fields. Save each of them as an array of its own.");
  CHECK(described("'>f8'") ==
        "npy: x.npy: the array is big endian (>f8). Convert it with astype('<f8').");
  CHECK(described("'<f2'") ==
        "npy: x.npy: there is no element type '<f2' here. Convert it to one of <f4, <f8, <i8, <i4, "
        "|u1.");
}

TEST_CASE("npy: the shape and the size of the file agree") {
  CHECK(described("'<f4'", "(3,)") ==
        "npy: x.npy: f32 [3] needs 12 bytes behind the header and 8 are there. Save it again.");
  CHECK(described("'<f4'", "(1,)") ==
        "npy: x.npy: f32 [1] needs 4 bytes behind the header and 8 are there. Save it again.");
  CHECK(described("'<f4'", "(1,1,1,1,1,1,1,1,2)") ==
        "npy: x.npy: the array has more than 8 axes. Reshape it.");
  CHECK(described("'<f4'", "(4194305, 4194305, 211106198978564)") ==
        "npy: x.npy: the size of f32 [4194305, 4194305, 211106198978564] overflows. The file is "
        "damaged: save it again.");
  CHECK(described("'<f4'", "(9223372036854775808,)") ==
        "npy: x.npy: an extent is no 63-bit number. The file is damaged: save it again.");
  CHECK(described("'|u1'", "(0, 4294967296, 4294967296)").find("overflows") != std::string::npos);
}

TEST_CASE("npy: a damaged file is read or refused, whatever byte changed") {
  const Bytes whole = to_npy(sample({2, 2}, DType::f32));
  const std::size_t refused =
      read_damaged(whole, [](const Bytes& bytes) { from_npy(bytes, "x.npy"); });
  CHECK(refused > whole.size() + 100 * 255);
}
