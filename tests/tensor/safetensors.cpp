#include "tensor/safetensors.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "format_tools.h"
#include "tests/memory.h"

using namespace likely;

namespace {

std::string safetensors_file(const std::string& header, const std::string& data = "") {
  return number(header.size(), 8) + header + data;
}

SafeTensors read_safetensors(const std::string& text) {
  return from_safetensors(bytes_from(text), "x.st");
}

// Of a file with that header and `data_bytes` bytes of data.
std::string safetensors_refusal(const std::string& header, std::size_t data_bytes = 0) {
  return message(
      [&] { read_safetensors(safetensors_file(header, std::string(data_bytes, '\0'))); });
}

// What is said where a rule is broken.
std::string broken(const std::string& rule) {
  return "safetensors: x.st: " + rule +
         ". The file is damaged or written wrongly: fetch or save it again.";
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

std::string header_of(const std::vector<std::string>& fields) {
  return fmt::format("{{{}}}", fmt::join(fields, ","));
}

SafeTensors every_type() {
  SafeTensors content;
  content.metadata = {{"format", "likely"}, {"note", "é \"quoted\"\n"}};
  content.tensors = {
      {"bytes", sample({3}, DType::u8)},       {"weight", sample({2, 3}, DType::f32)},
      {"half", sample({5}, DType::bf16)},      {"exact", sample({2, 1, 2}, DType::f64)},
      {"index", sample({4}, DType::i64)},      {"small", sample({1, 3}, DType::i32)},
      {"nothing", sample({0, 4}, DType::f32)}, {"scalar/π", sample({}, DType::f32)}};
  return content;
}

void check_same(const SafeTensors& a, const SafeTensors& b) {
  CHECK(a.metadata == b.metadata);
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    CHECK(a.tensors[i].first == b.tensors[i].first);
    likely::check_same(a.tensors[i].second, b.tensors[i].second);
  }
}

}  // namespace

TEST_CASE("safetensors: every type comes back as it was written") {
  const SafeTensors content = every_type();
  check_same(from_safetensors(to_safetensors(content), "x.st"), content);
  check_same(from_safetensors(to_safetensors({}), "x.st"), {});
}

TEST_CASE("safetensors: no two tensors share storage, though offsets may be equal") {
  const SafeTensors content = read_safetensors(safetensors_file(
      header_of({tensor("a", "F32", "[0]", "[0,0]"), tensor("b", "F32", "[]", "[0,4]"),
                 tensor("c", "U8", "[2,0]", "[4,4]"), tensor("d", "U8", "[0]", "[0,0]")}),
      std::string("\0\0\x80\x3f", 4)));
  REQUIRE(content.tensors.size() == 4);
  CHECK(content.at("b").item<float>() == 1.0f);
  for (const auto& [a, first] : content.tensors)
    for (const auto& [b, second] : content.tensors)
      CHECK((a == b) == (first.storage() == second.storage()));
}

TEST_CASE("safetensors: strided tensors are written in row-major order") {
  const Tensor x = sample({4, 6}, DType::i32);
  SafeTensors content;
  content.tensors = {{"transposed", x.transpose()},
                     {"slice", x.slice(1, 1, 6, 2).slice(0, 2, 4)},
                     {"expanded", x.slice(1, 0, 1).expand({4, 3})}};
  const SafeTensors back = from_safetensors(to_safetensors(content), "x.st");
  check_same(back, content);
  CHECK(back.at("transposed").contiguous());
  CHECK(back.at("slice").to_vector<std::int32_t>() ==
        std::vector<std::int32_t>{14, 16, 18, 20, 22, 24});
}

TEST_CASE("safetensors: the bytes are the format's, padded and aligned") {
  SafeTensors content;
  content.metadata = {{"b", "2"}, {"a", "1"}};
  content.tensors = {{"u", Tensor::of<std::uint8_t>({3}, {7, 8, 9})},
                     {"f", Tensor::of<float>({1}, {1.0f})}};
  std::string header =
      header_of({R"("__metadata__":{"a":"1","b":"2"})", tensor("u", "U8", "[3]", "[4,7]"),
                 tensor("f", "F32", "[1]", "[0,4]")});
  CHECK(header.size() % 8 != 0);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  CHECK(to_safetensors(content) ==
        bytes_from(safetensors_file(header, std::string("\0\0\x80\x3f\x07\x08\x09", 7))));

  // Wherever the elements are larger, they come earlier: every tensor is aligned to its elements.
  const Bytes bytes = to_safetensors(every_type());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
}

TEST_CASE(
    "safetensors: a file written by the reference implementation is reproduced byte by byte") {
  const std::string path = LIKELY_SOURCE "/tests/interop/vae.safetensors";
  const SafeTensors golden = load_safetensors(path);
  CHECK(golden.at("decoder.0.weight").shape() == Shape{24, 5});
  std::ifstream stream(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  CHECK(to_safetensors(golden) == bytes_from(text));
}

TEST_CASE("safetensors: files on disk") {
  const std::string path =
      (std::filesystem::temp_directory_path() / "likely-test.safetensors").string();
  save_safetensors(path, every_type());
  check_same(load_safetensors(path), every_type());
  CHECK(!std::filesystem::exists(path + ".partial"));
  std::filesystem::resize_file(path, 40);
  CHECK(message([&] { load_safetensors(path); }).find("safetensors: " + path + ": ") == 0);
  std::filesystem::remove(path);
  CHECK(message([&] { load_safetensors(path); }) ==
        "safetensors: cannot read " + path + ": No such file or directory.");
  const std::string folder = std::filesystem::temp_directory_path().string();
  CHECK(message([&] { load_safetensors(folder); }) ==
        "safetensors: cannot read " + folder + ": it is a folder. Put a regular file there.");
}

TEST_CASE("safetensors: at names what is nearest") {
  CHECK(message([] { every_type().at("wieght"); }) ==
        R"(safetensors: there is no tensor "wieght" among 8. The nearest name is "weight".)");
}

TEST_CASE("safetensors: the length of the header") {
  CHECK(message([] { read_safetensors("1234567"); }) ==
        "safetensors: x.st: 7 bytes are no safetensors file: even the length of its header takes "
        "8.");
  CHECK(message([] { read_safetensors(number(33'554'433, 8) + "{}"); }) ==
        "safetensors: x.st: a header of 33554433 bytes is longer than 33554432. It is no "
        "safetensors file, or damaged.");
  CHECK(message([] { read_safetensors(number(~std::uint64_t{0}, 8) + "{}"); }) ==
        "safetensors: x.st: a header of 18446744073709551615 bytes is longer than 33554432. It "
        "is no safetensors file, or damaged.");
  CHECK(message([] { read_safetensors(number(3, 8) + "{}"); }) ==
        "safetensors: x.st: a header of 3 bytes does not fit into 10 bytes. The file was cut "
        "short, or is no safetensors file.");
}

TEST_CASE("safetensors: the header is one JSON object in UTF-8") {
  for (const char* header : {"", " {}", "[]", "\xef\xbb\xbf{}", "null"})
    CHECK(safetensors_refusal(header) == broken("the header does not begin with {"));
  CHECK(safetensors_refusal("{") == broken("byte 2 of the header is not JSON in UTF-8"));
  CHECK(safetensors_refusal("{}}") == broken("byte 3 of the header is not JSON in UTF-8"));
  CHECK(safetensors_refusal("{} x") == broken("byte 4 of the header is not JSON in UTF-8"));
  CHECK(safetensors_refusal("{/**/}") == broken("byte 2 of the header is not JSON in UTF-8"));
  CHECK(safetensors_refusal("{\"a\xff\":1}") ==
        broken("byte 4 of the header is not JSON in UTF-8"));
  CHECK(safetensors_refusal("{\"\xc0\xaf\":1}") ==
        broken("byte 3 of the header is not JSON in UTF-8"));
  CHECK(safetensors_refusal(R"({"\ud800":1})").find("is not JSON in UTF-8") != std::string::npos);
  // A parser may take the zero for the end, and miss what another reader sees behind it.
  CHECK(safetensors_refusal(std::string("{}\0{}", 5)) ==
        broken("byte 3 of the header is not JSON in UTF-8"));
  CHECK(read_safetensors(safetensors_file("{}  \n ")).tensors.empty());
}

TEST_CASE("safetensors: names are unique and bounded") {
  const std::string empty = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  const auto named = [&](const std::string& name) { return "\"" + name + "\":" + empty; };
  CHECK(safetensors_refusal(header_of({named("a"), named("b"), named("a")})) ==
        broken(R"(the name "a" is there twice)"));
  CHECK(safetensors_refusal(header_of({named("a"), named("\\u0061")})) ==
        broken(R"(the name "a" is there twice)"));
  CHECK(safetensors_refusal(R"({"__metadata__":{},"__metadata__":{}})") ==
        broken(R"(the name "__metadata__" is there twice)"));
  CHECK(safetensors_refusal(R"({"__metadata__":{"k":"1","k":"1"}})") ==
        broken(R"(the metadata key "k" is there twice)"));
  CHECK(safetensors_refusal(R"({"a":{"dtype":"F32","dtype":"F32"}})") ==
        broken(R"(tensor "a": it has the field "dtype" twice)"));
  CHECK(read_safetensors(safetensors_file(header_of({named(std::string(4096, 'n'))})))
            .tensors.size() == 1);
  CHECK(safetensors_refusal(header_of({named(std::string(4097, 'n'))})) ==
        broken("the name \"" + std::string(80, 'n') + "\"… has 4097 bytes, more than 4096"));
  // Nothing that a terminal would obey is printed.
  CHECK(safetensors_refusal(R"({"\u001b[2J\u0000":1})") ==
        broken(R"("\x1b[2J\x00" is a number, not an object)"));
}

TEST_CASE("safetensors: at most a hundred thousand tensors, in little memory") {
  std::string header = "{";
  for (int i = 0; i <= 100'000; ++i)
    header += fmt::format("{}\"{}\":{}", i ? "," : "", i,
                          R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  CHECK(safetensors_refusal(header + "}") == broken("it has more than 100000 tensors"));
  if (!std::getenv("LIKELY_TEST_SMALL"))
    CHECK(peak_growth([&] { safetensors_refusal(header + "}"); }) < 80);
}

TEST_CASE("safetensors: the metadata is bounded too") {
  const auto with_keys = [](int count, std::size_t bytes) {
    std::string header = R"({"__metadata__":{)";
    for (int i = 0; i < count; ++i)
      header += fmt::format("{}\"{:0{}}\":\"\"", i ? "," : "", i, bytes);
    return safetensors_refusal(header + "}}");
  };
  const std::string refused = broken("it has metadata of more than 10000 keys of 4096 bytes");
  CHECK(with_keys(10'000, 5) == "no error");
  CHECK(with_keys(10'001, 5) == refused);
  CHECK(with_keys(1, 4096) == "no error");
  CHECK(with_keys(1, 4097) == refused);
}

TEST_CASE("safetensors: metadata is text by text") {
  CHECK(read_safetensors(safetensors_file(R"({"__metadata__":{"a":"","":"b"}})")).metadata.size() ==
        2);
  CHECK(safetensors_refusal(R"({"__metadata__":{"a":1}})") ==
        broken(R"(the metadata "a" is a number, not a string)"));
  CHECK(safetensors_refusal(R"({"__metadata__":{"a":{}}})") ==
        broken(R"(the metadata "a" is an object, not a string)"));
  CHECK(safetensors_refusal(R"({"__metadata__":{"a":["b"]}})") ==
        broken(R"(the metadata "a" is a list, not a string)"));
  CHECK(safetensors_refusal(R"({"__metadata__":"a"})") ==
        broken(R"("__metadata__" is a string, not an object)"));
}

TEST_CASE("safetensors: a tensor has its three fields and no other") {
  CHECK(safetensors_refusal(R"({"a":[]})") == broken(R"("a" is a list, not an object)"));
  CHECK(safetensors_refusal(R"({"a":null})") == broken(R"("a" is null, not an object)"));
  CHECK(safetensors_refusal(R"({"a":true})") == broken(R"("a" is a truth value, not an object)"));
  CHECK(safetensors_refusal(R"({"a":{}})") == broken(R"(tensor "a": it has no field "dtype")"));
  CHECK(safetensors_refusal(R"({"a":{"dtype":"F32","data_offsets":[0,0]}})") ==
        broken(R"(tensor "a": it has no field "shape")"));
  CHECK(safetensors_refusal(R"({"a":{"dtype":"F32","shape":[0]}})") ==
        broken(R"(tensor "a": it has no field "data_offsets")"));
  CHECK(safetensors_refusal(R"({"a":{"strides":[1]}})") ==
        broken(R"(tensor "a": it has the unknown field "strides")"));
  CHECK(safetensors_refusal(R"({"a":{"dtype":7}})") ==
        broken(R"(tensor "a": a number in the field "dtype")"));
  CHECK(safetensors_refusal(R"({"a":{"dtype":["F32"]}})") ==
        broken(R"(tensor "a": a list in the field "dtype")"));
  CHECK(safetensors_refusal(R"({"a":{"shape":3}})") ==
        broken(R"(tensor "a": a number in the field "shape")"));
  CHECK(safetensors_refusal(R"({"a":{"shape":["3"]}})") ==
        broken(R"(tensor "a": a string in the field "shape")"));
  CHECK(safetensors_refusal(R"({"a":{"shape":[[3]]}})") ==
        broken(R"(tensor "a": a list in the field "shape")"));
  CHECK(safetensors_refusal(R"({"a":{"shape":[{}]}})") ==
        broken(R"(tensor "a": an object in the field "shape")"));
  CHECK(safetensors_refusal(R"({"a":{"shape":[null]}})") ==
        broken(R"(tensor "a": null in the field "shape")"));
}

TEST_CASE("safetensors: an element type that is none of ours is named") {
  CHECK(safetensors_refusal(header_of({tensor("a", "F16", "[1]", "[0,2]")}), 2) ==
        "safetensors: x.st: tensor \"a\": there is no element type \"F16\" here. Convert it to one "
        "of F32, F64, BF16, I64, I32, U8.");
}

TEST_CASE("safetensors: numbers are integers that are not negative") {
  const auto shaped = [](const std::string& shape) {
    return safetensors_refusal(header_of({tensor("a", "F32", shape, "[0,0]")}));
  };
  CHECK(shaped("[-1]") == broken(R"(tensor "a": a negative number in the field "shape")"));
  CHECK(shaped("[-0]") == broken(R"(tensor "a": a negative number in the field "shape")"));
  const std::string fraction =
      broken(R"(tensor "a": a number that is no 64-bit integer in the field "shape")");
  CHECK(shaped("[1.0]") == fraction);
  CHECK(shaped("[1e2]") == fraction);
  CHECK(shaped("[18446744073709551616]") == fraction);
  CHECK(shaped("[9223372036854775808]") ==
        broken(R"(tensor "a": the extent 9223372036854775808 is no 63-bit number)"));
  CHECK(shaped("[1e999]").find("is not JSON in UTF-8") != std::string::npos);
  CHECK(shaped("[01]").find("is not JSON in UTF-8") != std::string::npos);
}

TEST_CASE("safetensors: shapes have at most eight axes and sizes that fit") {
  const std::string eight = "[1,1,1,1,1,1,1,1]", nine = "[1,1,1,1,1,1,1,1,1]";
  CHECK(read_safetensors(safetensors_file(header_of({tensor("a", "U8", eight, "[0,1]")}), "x"))
            .tensors.size() == 1);
  CHECK(safetensors_refusal(header_of({tensor("a", "U8", nine, "[0,1]")}), 1) ==
        broken(R"(tensor "a": it has more than 8 axes)"));
  // Multiplied without care these are 4 elements, or 16 bytes.
  CHECK(safetensors_refusal(
            header_of({tensor("a", "F32", "[4194305,4194305,211106198978564]", "[0,16]")}), 16) ==
        broken("tensor \"a\": the size of F32 [4194305, 4194305, 211106198978564] "
               "overflows"));
  CHECK(safetensors_refusal(header_of({tensor("a", "F32", "[4611686018427387905]", "[0,4]")}), 4) ==
        broken(R"(tensor "a": the size of F32 [4611686018427387905] overflows)"));
  CHECK(safetensors_refusal(header_of({tensor("a", "U8", "[0,4294967296,4294967296]", "[0,0]")})) ==
        broken(R"(tensor "a": the size of U8 [0, 4294967296, 4294967296] overflows)"));
}

TEST_CASE("safetensors: offsets hold exactly the tensor") {
  const auto with_offsets = [](const std::string& offsets) {
    return safetensors_refusal(header_of({tensor("a", "F32", "[2]", offsets)}), 8);
  };
  CHECK(with_offsets("[0,8]") == "no error");
  CHECK(with_offsets("[0,4]") ==
        broken(R"(tensor "a": F32 [2] needs 8 bytes and its offsets hold 4)"));
  CHECK(with_offsets("[8,0]") == broken(R"(tensor "a": its data begins at 8 and ends at 0)"));
  CHECK(with_offsets("[18446744073709551608,0]") ==
        broken(R"(tensor "a": its data begins at 18446744073709551608 and ends at 0)"));
  CHECK(with_offsets("[8]") == broken(R"(tensor "a": it has 1 data offsets, not two)"));
  CHECK(with_offsets("[]") == broken(R"(tensor "a": it has 0 data offsets, not two)"));
  CHECK(with_offsets("[0,8,8]") == broken(R"(tensor "a": it has more than two data offsets)"));
  CHECK(with_offsets("[-8,0]") ==
        broken(R"(tensor "a": a negative number in the field "data_offsets")"));
}

TEST_CASE("safetensors: the data is covered once, from the first byte to the last") {
  const auto two = [](const std::string& first, const std::string& second, std::size_t bytes) {
    return safetensors_refusal(
        header_of({tensor("a", "U8", "[4]", first), tensor("b", "U8", "[4]", second)}), bytes);
  };
  CHECK(two("[0,4]", "[4,8]", 8) == "no error");
  CHECK(two("[4,8]", "[0,4]", 8) == "no error");
  CHECK(two("[0,4]", "[5,9]", 9) ==
        broken(R"(tensor "b": its data begins at 5, the data before it ends at 4: a gap)"));
  CHECK(two("[1,5]", "[5,9]", 9) ==
        broken(R"(tensor "a": its data begins at 1, the data before it ends at 0: a gap)"));
  CHECK(two("[0,4]", "[3,7]", 7) ==
        broken(R"(tensor "b": its data begins at 3, the data before it ends at 4: they overlap)"));
  CHECK(two("[0,4]", "[0,4]", 4) ==
        broken(R"(tensor "b": its data begins at 0, the data before it ends at 4: they overlap)"));
  CHECK(two("[0,4]", "[4,8]", 9) == broken("1 bytes follow the last tensor"));
  CHECK(two("[0,4]", "[4,8]", 7) == broken("the tensors need 8 bytes and 7 are there"));
  CHECK(safetensors_refusal("{}", 3) == broken("3 bytes follow the last tensor"));
}

TEST_CASE("safetensors: what a reader would refuse is not written") {
  const Tensor x = sample({2}, DType::f32);
  const auto written = [](const SafeTensors& content) {
    try {
      to_safetensors(content);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(written({{{"a", x}, {"a", x}}, {}}) ==
        R"(safetensors: the name "a" is taken. Give every tensor another.)");
  CHECK(written({{{"__metadata__", x}}, {}}) ==
        R"(safetensors: the name "__metadata__" is taken. Give every tensor another.)");
  CHECK(written({{{"a\xff", x}}, {}}) ==
        R"(safetensors: the name "a\xff" is not UTF-8 of at most 4096 bytes.)");
  CHECK(written({{{std::string(4097, 'a'), x}}, {}}) ==
        "safetensors: the name \"" + std::string(80, 'a') +
            "\"… is not UTF-8 of at most 4096 bytes.");
  CHECK(written({{}, {{"a", "\xff"}}}) == R"(safetensors: the metadata "a" is not UTF-8.)");
  CHECK(written({{{"a", Tensor()}}, {}}) == R"(safetensors: the tensor "a" has no values.)");
  CHECK(written({{{"a", Tensor::empty({1}, DType::f32, Device::meta)}}, {}}) ==
        R"(safetensors: the tensor "a" has no values.)");
}

TEST_CASE("safetensors: a damaged file is read or refused, whatever byte changed") {
  SafeTensors content;
  content.metadata = {{"a", "é"}};
  content.tensors = {{"w", sample({2, 2}, DType::f32)}, {"π", sample({}, DType::u8)}};
  const Bytes whole = to_safetensors(content);
  const std::size_t refused =
      read_damaged(whole, [](const Bytes& bytes) { from_safetensors(bytes, "x.st"); });
  // All that are cut short, and most changes of the header.
  CHECK(refused > whole.size() + 50 * 255);
}
