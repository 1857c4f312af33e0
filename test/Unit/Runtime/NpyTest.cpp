//===- NpyTest.cpp --------------------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Npy.h"

#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>

using namespace flash::runtime;

namespace {

std::vector<std::byte> toBytes(const std::string &text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// A file with the given header dict and `dataBytes` bytes 0, 1, 2, ...
std::vector<std::byte> file(const std::string &dict, size_t dataBytes,
                            char major = 1) {
  std::string text = "\x93NUMPY";
  text += major;
  text += '\0';
  text += char(dict.size() & 0xff);
  text += char(dict.size() >> 8);
  if (major > 1)
    text += std::string(2, '\0');
  text += dict;
  for (size_t i = 0; i < dataBytes; ++i)
    text += char(i);
  return toBytes(text);
}

std::string dict(const std::string &descr, const std::string &order,
                 const std::string &shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order +
         ", 'shape': " + shape + ", }\n";
}

/// A fresh directory, gone at the end.
class Directory {
public:
  Directory() {
    std::string pattern =
        std::filesystem::temp_directory_path() / "flash-npy-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path); }
  size_t numEntries() const {
    std::filesystem::directory_iterator it(path);
    return size_t(std::distance(begin(it), end(it)));
  }
  std::string path;
};

TEST(Npy, RoundTripOfEveryType) {
  for (int i = 0; i <= int(DType::Bool); ++i) {
    DType type = DType(i);
    for (std::vector<int64_t> shape :
         {std::vector<int64_t>{}, {5}, {2, 3}, {2, 0, 3}, {2, 3, 4, 5}}) {
      StridedArray array = StridedArray::contiguous(type, shape);
      int64_t n = 0;
      forEachIndex(array, [&](int64_t index) {
        storeElement(type, array.bytesAt(index), double(n++ % 7));
      });
      std::vector<std::byte> bytes = formatNpy(array);
      EXPECT_EQ((bytes.size() - array.storage.size()) % 64, 0u);
      Result<StridedArray> read = parseNpy(bytes);
      ASSERT_TRUE(read.succeeded()) << read.error().message;
      EXPECT_EQ(read->shape, shape);
      EXPECT_EQ(read->storage, array.storage);
      StridedArray again = StridedArray::contiguous(type, shape);
      Status assigned = assignArray(again, *read, "x");
      ASSERT_TRUE(assigned.succeeded()) << assigned.error().message;
      EXPECT_EQ(again.storage, array.storage);
    }
  }
}

/// Exactly what numpy.save writes for arange(3, dtype=int16).
TEST(Npy, KnownFile) {
  StridedArray array = StridedArray::contiguous(DType::I16, {3});
  for (int64_t i = 0; i < 3; ++i)
    array.set(std::array{i}, double(i));
  std::string expected = "\x93NUMPY\x01";
  expected += '\0';
  expected += 'v'; // 118 bytes of header
  expected += '\0';
  expected += "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }";
  expected += std::string(128 - 1 - expected.size(), ' ') + '\n';
  for (char c : {0, 0, 1, 0, 2, 0})
    expected += c;
  EXPECT_EQ(formatNpy(array), toBytes(expected));
}

TEST(Npy, VersionsAndFortranOrder) {
  for (char major : {1, 2, 3}) {
    Result<StridedArray> c =
        parseNpy(file(dict("|u1", "False", "(2, 3)"), 6, major));
    ASSERT_TRUE(c.succeeded()) << c.error().message;
    EXPECT_EQ(c->get(std::array<int64_t, 2>{1, 0}), 3);
    Result<StridedArray> fortran =
        parseNpy(file(dict("|u1", "True", "(2, 3)"), 6, major));
    ASSERT_TRUE(fortran.succeeded());
    EXPECT_EQ(fortran->get(std::array<int64_t, 2>{1, 0}), 1);
    EXPECT_EQ(fortran->get(std::array<int64_t, 2>{0, 1}), 2);
    EXPECT_EQ(fortran->strides, (std::vector<int64_t>{3, 1}));
  }
}

TEST(Npy, Malformed) {
  auto refused = [](const std::vector<std::byte> &bytes, const char *part) {
    Result<StridedArray> array = parseNpy(bytes);
    ASSERT_TRUE(array.failed()) << part;
    EXPECT_NE(array.error().message.find(part), std::string::npos)
        << array.error().message;
  };
  refused({}, "not a .npy file");
  refused(toBytes("\x93NUMPY"), "not a .npy file");
  refused(toBytes("PK\x03\x04 something else"), "not a .npy file");
  refused(file(dict("|u1", "False", "(2,)"), 2, 4), "version");
  refused(file(dict("|u1", "False", "(2,)"), 1), "expected [2] x 1 bytes");
  refused(file(dict("|u1", "False", "(2,)"), 3), "got 3 bytes");
  refused(file(dict("<f4", "False", "(2,)"), 7), "got 7 bytes");
  refused(file(dict(">f4", "False", "(2,)"), 8), "'>f4'");
  refused(file(dict("<c8", "False", "(1,)"), 8), "type");
  refused(file(dict("|u1", "Maybe", "(1,)"), 1), "fortran_order");
  refused(file(dict("|u1", "False", "(-1,)"), 1), "shape");
  refused(file(dict("|u1", "False", "(1"), 1), "shape");
  refused(file(dict("|u1", "False", "3"), 3), "shape");
  refused(file(dict("<f8", "False", "(4294967296, 4294967296)"), 8), "says");
  refused(file(dict("|u1", "False", "(99999999999999999999,)"), 1), "shape");
  refused(file("{'descr': '|u1', 'shape': (1,), }", 1), "fortran_order");
  refused(file("{'descr': '|u1", 1), "descr");
  refused(file("{'x': 3}", 1), "keys");
  refused(file("{", 0), "quoted key");
  refused(file("", 0), "'{'");
  std::vector<std::byte> cut = file(dict("|u1", "False", "(2,)"), 0);
  cut.resize(20);
  refused(cut, "truncated");
}

/// Any single-byte change is read or refused, never a crash.
TEST(Npy, MutatedBytes) {
  std::vector<std::byte> original = file(dict("<f4", "True", "(2, 3)"), 24);
  for (size_t at = 0; at < original.size(); ++at)
    for (int value = 0; value < 256; ++value) {
      std::vector<std::byte> bytes = original;
      bytes[at] = std::byte(value);
      Result<StridedArray> array = parseNpy(bytes);
      if (array) {
        EXPECT_EQ(array->storage.size(),
                  size_t(array->numElements()) * byteWidth(array->dtype));
      }
    }
}

TEST(Npy, Assign) {
  StridedArray f32 = StridedArray::contiguous(DType::F32, {2});
  f32.set(std::array<int64_t, 1>{1}, 1 + 0x1p-9);
  StridedArray bf16 = StridedArray::contiguous(DType::BF16, {2});
  ASSERT_TRUE(assignArray(bf16, f32, "q").succeeded());
  EXPECT_EQ(bf16.get(std::array<int64_t, 1>{1}), 1);

  StridedArray bits = StridedArray::contiguous(DType::U16, {2});
  bits.set(std::array<int64_t, 1>{0}, 0x4040); // 3.0 in bf16
  ASSERT_TRUE(assignArray(bf16, bits, "q").succeeded());
  EXPECT_EQ(bf16.get(std::array<int64_t, 1>{0}), 3);

  StridedArray strided;
  strided.dtype = DType::F32;
  strided.shape = {2};
  strided.strides = {3};
  strided.offset = 1;
  strided.storage.resize(5 * 4);
  ASSERT_TRUE(assignArray(strided, f32, "q").succeeded());
  EXPECT_EQ(strided.loadIndex(4), 1 + 0x1p-9);

  StridedArray other = StridedArray::contiguous(DType::F32, {3});
  Status shape = assignArray(bf16, other, "q");
  ASSERT_TRUE(shape.failed());
  EXPECT_EQ(shape.error().message, "q: expected shape [2], got [3]");
  StridedArray i32 = StridedArray::contiguous(DType::I32, {2});
  Status type = assignArray(bf16, i32, "q");
  ASSERT_TRUE(type.failed());
  EXPECT_NE(type.error().message.find("bf16 (u2 in .npy)"), std::string::npos);
}

TEST(Npy, FilesAppearWholeOrNotAtAll) {
  Directory directory;
  StridedArray array = StridedArray::contiguous(DType::F32, {4});
  std::string path = directory.path + "/a.npy";
  ASSERT_TRUE(writeNpy(path, array).succeeded());
  array.set(std::array<int64_t, 1>{2}, 5);
  ASSERT_TRUE(writeNpy(path, array).succeeded());
  Result<StridedArray> read = readNpy(path);
  ASSERT_TRUE(read.succeeded());
  EXPECT_EQ(read->storage, array.storage);
  EXPECT_EQ(directory.numEntries(), 1u);

  // A directory cannot be replaced by a file.
  std::filesystem::create_directory(directory.path + "/taken");
  EXPECT_TRUE(writeNpy(directory.path + "/taken", array).failed());
  Status missing = writeNpy(directory.path + "/no/a.npy", array);
  ASSERT_TRUE(missing.failed());
  EXPECT_NE(missing.error().message.find("/no/a.npy"), std::string::npos);
  EXPECT_EQ(directory.numEntries(), 2u);
  EXPECT_TRUE(readNpy(directory.path + "/none.npy").failed());

  // A device is written in place and stays a device; /dev/full fails.
  ASSERT_TRUE(writeNpy("/dev/null", array).succeeded());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_TRUE(writeNpy("/dev/full", array).failed());
}

} // namespace
