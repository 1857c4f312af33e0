//===- Npy.cpp - NumPy's array files --------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Npy.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace flash::runtime;

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy itself never writes more than 64 dimensions.
constexpr size_t kMaxRank = 64;

struct NpyType {
  DType type;
  std::string_view code;
};

constexpr NpyType kTypes[] = {
    {DType::F16, "f2"}, {DType::F32, "f4"}, {DType::F64, "f8"},
    {DType::I8, "i1"},  {DType::I16, "i2"}, {DType::I32, "i4"},
    {DType::I64, "i8"}, {DType::U8, "u1"},  {DType::U16, "u2"},
    {DType::U32, "u4"}, {DType::U64, "u8"}, {DType::Bool, "b1"},
};

/// The code for an array that is written: types NumPy lacks go as their bits.
std::string_view typeCode(DType type) {
  switch (type) {
  case DType::BF16:
    return "u2";
  case DType::TF32:
    return "f4";
  case DType::E4M3:
  case DType::E5M2:
    return "u1";
  default:
    for (const NpyType &entry : kTypes)
      if (entry.type == type)
        return entry.code;
  }
  __builtin_unreachable();
}

/// The header is a Python dict literal with three known keys; this reads that
/// and nothing more general.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : text(text) {}

  struct Header {
    std::string descr;
    bool fortranOrder = false;
    std::vector<int64_t> shape;
  };

  Result<Header> parse() {
    Header header;
    bool haveDescr = false, haveOrder = false, haveShape = false;
    if (!take('{'))
      return fail("'{'");
    while (!take('}')) {
      std::string key;
      if (!string(key) || !take(':'))
        return fail("a quoted key and ':'");
      if (key == "descr") {
        if (haveDescr || !string(header.descr))
          return fail("one type string for 'descr'");
        haveDescr = true;
      } else if (key == "fortran_order") {
        bool isTrue = word("True");
        if (haveOrder || (!isTrue && !word("False")))
          return fail("one True or False for 'fortran_order'");
        header.fortranOrder = isTrue;
        haveOrder = true;
      } else if (key == "shape") {
        if (haveShape || !tuple(header.shape))
          return fail("one tuple of non-negative integers for 'shape'");
        haveShape = true;
      } else {
        return fail("one of the keys 'descr', 'fortran_order', 'shape'");
      }
      if (!take(',')) {
        if (!take('}'))
          return fail("',' or '}'");
        break;
      }
    }
    skipSpace();
    if (at != text.size())
      return fail("nothing after '}'");
    if (!haveDescr || !haveOrder || !haveShape)
      return fail("the keys 'descr', 'fortran_order' and 'shape'");
    return header;
  }

private:
  Error fail(std::string_view expected) const {
    return Error{"malformed .npy header: expected " + std::string(expected) +
                 " at byte " + std::to_string(at) + " of the header"};
  }

  void skipSpace() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n'))
      ++at;
  }

  bool take(char c) {
    skipSpace();
    if (at == text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }

  bool word(std::string_view expected) {
    skipSpace();
    if (text.substr(at, expected.size()) != expected)
      return false;
    at += expected.size();
    return true;
  }

  bool string(std::string &out) {
    skipSpace();
    if (at == text.size() || (text[at] != '\'' && text[at] != '"'))
      return false;
    size_t end = text.find(text[at], at + 1);
    if (end == std::string_view::npos)
      return false;
    out = std::string(text.substr(at + 1, end - at - 1));
    at = end + 1;
    return true;
  }

  bool tuple(std::vector<int64_t> &out) {
    if (!take('('))
      return false;
    while (!take(')')) {
      skipSpace();
      int64_t value = 0;
      auto [end, error] =
          std::from_chars(text.data() + at, text.data() + text.size(), value);
      if (error != std::errc() || value < 0 || out.size() == kMaxRank)
        return false;
      at = size_t(end - text.data());
      out.push_back(value);
      if (!take(','))
        return take(')');
    }
    return true;
  }

  std::string_view text;
  size_t at = 0;
};

Result<DType> parseDescr(const std::string &descr) {
  std::string_view code = descr;
  // '|' marks types that have no byte order, '=' the host's, which is little.
  if (!code.empty() && (code[0] == '<' || code[0] == '|' || code[0] == '='))
    for (const NpyType &entry : kTypes)
      if (entry.code == code.substr(1))
        return entry.type;
  std::string shown;
  for (char c : descr.substr(0, 16))
    shown += (c >= 0x20 && c < 0x7f) ? c : '?';
  return Error{".npy type: expected one of <f2 <f4 <f8 |i1 <i2 <i4 <i8 |u1 <u2 "
               "<u4 <u8 |b1, got '" +
               shown + "'"};
}

/// Product of the shape, or nothing if it does not fit the bytes at hand.
std::optional<int64_t> elementCount(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count))
      return std::nullopt;
  return count;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    out += (i ? "," : "") + std::to_string(shape[i]);
  return out + "]";
}

std::string systemError(const std::string &path, const char *action) {
  return "cannot " + std::string(action) + " '" + path +
         "': " + std::strerror(errno);
}

bool writeAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    bytes = bytes.subspan(size_t(written));
  }
  return true;
}

} // namespace

Result<StridedArray>
flash::runtime::parseNpy(std::span<const std::byte> bytes) {
  std::string_view text(reinterpret_cast<const char *>(bytes.data()),
                        bytes.size());
  if (text.substr(0, kMagic.size()) != kMagic || text.size() < 10)
    return Error{"not a .npy file: expected it to begin with \\x93NUMPY, a "
                 "version and a header length"};
  unsigned major = uint8_t(text[6]), minor = uint8_t(text[7]);
  if (major < 1 || major > 3 || minor != 0)
    return Error{".npy version: expected 1.0, 2.0 or 3.0, got " +
                 std::to_string(major) + "." + std::to_string(minor)};
  // Version 1 has two bytes of header length, later ones four.
  size_t lengthBytes = major == 1 ? 2 : 4;
  if (text.size() < 8 + lengthBytes)
    return Error{"truncated .npy file: expected " +
                 std::to_string(lengthBytes) + " bytes of header length"};
  size_t headerBytes = 0;
  for (size_t i = 0; i < lengthBytes; ++i)
    headerBytes |= size_t(uint8_t(text[8 + i])) << (8 * i);
  size_t headerBegin = 8 + lengthBytes;
  if (text.size() - headerBegin < headerBytes)
    return Error{"truncated .npy file: expected a header of " +
                 std::to_string(headerBytes) + " bytes, got " +
                 std::to_string(text.size() - headerBegin)};
  Result<HeaderParser::Header> header =
      HeaderParser(text.substr(headerBegin, headerBytes)).parse();
  if (!header)
    return header.error();
  Result<DType> type = parseDescr(header->descr);
  if (!type)
    return type.error();

  std::span<const std::byte> data = bytes.subspan(headerBegin + headerBytes);
  std::optional<int64_t> count = elementCount(header->shape);
  size_t width = byteWidth(*type);
  if (!count || data.size() % width != 0 ||
      uint64_t(*count) != data.size() / width)
    return Error{".npy data: expected " + shapeText(header->shape) + " x " +
                 std::to_string(width) + " bytes as the header says, got " +
                 std::to_string(data.size()) + " bytes"};

  if (!header->fortranOrder) {
    StridedArray array = StridedArray::contiguous(*type, header->shape);
    std::copy(data.begin(), data.end(), array.storage.begin());
    return array;
  }
  StridedArray source;
  source.dtype = *type;
  source.shape = header->shape;
  int64_t stride = 1;
  for (int64_t extent : header->shape) {
    source.strides.push_back(stride);
    stride *= extent;
  }
  source.storage.assign(data.begin(), data.end());
  StridedArray array = StridedArray::contiguous(*type, header->shape);
  array.setLogicalBytes(source.logicalBytes());
  return array;
}

Result<StridedArray> flash::runtime::readNpy(const std::string &path) {
  Result<std::vector<std::byte>> bytes = readFile(path);
  if (!bytes)
    return bytes.error();
  Result<StridedArray> array = parseNpy(*bytes);
  if (!array)
    return Error{"'" + path + "': " + array.error().message};
  return array;
}

std::vector<std::byte> flash::runtime::formatNpy(const StridedArray &array) {
  std::string header = "{'descr': '";
  header += byteWidth(array.dtype) == 1 ? '|' : '<';
  header += std::string(typeCode(array.dtype)) +
            "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < array.shape.size(); ++i)
    header += (i ? ", " : "") + std::to_string(array.shape[i]);
  header += array.shape.size() == 1 ? ",), }" : "), }";
  // The data starts at a multiple of 64 bytes, the header ends in a newline.
  size_t prefix = kMagic.size() + 2 + 2;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';

  std::string text(kMagic);
  text += '\x01';
  text += '\0';
  text += char(header.size() & 0xff);
  text += char(header.size() >> 8);
  text += header;
  std::vector<std::byte> data = array.logicalBytes();
  std::vector<std::byte> out(text.size() + data.size());
  std::memcpy(out.data(), text.data(), text.size());
  std::copy(data.begin(), data.end(), out.begin() + ptrdiff_t(text.size()));
  return out;
}

Status flash::runtime::writeNpy(const std::string &path,
                                const StridedArray &array) {
  return writeFileAtomically(path, formatNpy(array));
}

Status flash::runtime::assignArray(StridedArray &target,
                                   const StridedArray &source,
                                   std::string_view what) {
  if (target.shape != source.shape)
    return Error{std::string(what) + ": expected shape " +
                 shapeText(target.shape) + ", got " + shapeText(source.shape)};
  DType to = target.dtype, from = source.dtype;
  bool sameBits =
      to == from || (to == DType::BF16 && from == DType::U16) ||
      (to == DType::TF32 && from == DType::F32) ||
      ((to == DType::E4M3 || to == DType::E5M2) && from == DType::U8) ||
      (to == DType::Bool && from == DType::U8);
  if (sameBits) {
    target.setLogicalBytes(source.logicalBytes());
    return Success{};
  }
  auto isNpyFloat = [](DType type) {
    return type == DType::F16 || type == DType::F32 || type == DType::F64;
  };
  if (!isFloat(to) || !isNpyFloat(from))
    return Error{std::string(what) + ": expected elements of type " +
                 std::string(name(to)) + " (" + std::string(typeCode(to)) +
                 " in .npy) or a float type to round, got " +
                 std::string(name(from))};
  std::vector<int64_t> indices;
  indices.reserve(size_t(source.numElements()));
  forEachIndex(source, [&](int64_t index) { indices.push_back(index); });
  size_t next = 0;
  forEachIndex(target, [&](int64_t index) {
    storeElement(to, target.bytesAt(index), source.loadIndex(indices[next++]));
  });
  return Success{};
}

Status flash::runtime::writeFileAtomically(const std::string &path,
                                           std::span<const std::byte> bytes) {
  struct stat existing;
  bool isSpecial =
      ::stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode);
  if (isSpecial) {
    // Renaming onto a directory fails anyway; onto /dev/null it would not.
    int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
      return Error{systemError(path, "write")};
    bool written = writeAll(fd, bytes);
    std::string message = systemError(path, "write");
    ::close(fd);
    return written ? Status(Success{}) : Status(Error{message});
  }
  std::string temporary = path + ".XXXXXX";
  int fd = ::mkstemp(temporary.data());
  if (fd < 0)
    return Error{systemError(path, "write")};
  // mkstemp makes files that only their owner reads; give the usual mode.
  mode_t mask = ::umask(0);
  ::umask(mask);
  bool written = ::fchmod(fd, 0666 & ~mask) == 0 && writeAll(fd, bytes);
  std::string message = systemError(path, "write");
  if (::close(fd) != 0 && written) {
    written = false;
    message = systemError(path, "write");
  }
  if (written && ::rename(temporary.c_str(), path.c_str()) == 0)
    return Success{};
  if (written)
    message = systemError(path, "write");
  ::unlink(temporary.c_str());
  return Error{message};
}

Result<std::vector<std::byte>>
flash::runtime::readFile(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return Error{systemError(path, "read")};
  std::vector<std::byte> bytes;
  std::byte buffer[65536];
  while (true) {
    ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      std::string message = systemError(path, "read");
      ::close(fd);
      return Error{message};
    }
    if (got == 0)
      break;
    bytes.insert(bytes.end(), buffer, buffer + got);
  }
  ::close(fd);
  return bytes;
}
