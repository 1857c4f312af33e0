//===- Arguments.cpp - Buffers and arguments of flash-emulate ---*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"

#include <cerrno>
#include <cstdlib>

using namespace flash;
using namespace flash::tool;
using runtime::Error;
using runtime::Result;
using runtime::Status;
using runtime::Success;

namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

/// Splits at the first `separator`; the second part is empty without one.
std::pair<std::string_view, std::string_view> split(std::string_view text,
                                                    char separator) {
  size_t at = text.find(separator);
  if (at == std::string_view::npos)
    return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::optional<double> parseReal(std::string_view text) {
  std::string copy(text);
  char *end;
  double value = std::strtod(copy.c_str(), &end);
  if (copy.empty() || *end)
    return std::nullopt;
  return value;
}

/// "f32[128,64]" as an empty array of that type and shape.
Result<runtime::StridedArray> parseShape(std::string_view text) {
  size_t open = text.find('[');
  if (open == std::string_view::npos || text.back() != ']')
    return Error{"expected DTYPE[d0,d1,...], got " + quoted(text)};
  auto type = runtime::parseDType(text.substr(0, open));
  if (!type)
    return Error{"unknown element type " + quoted(text.substr(0, open))};
  std::vector<int64_t> shape;
  std::string_view rest = text.substr(open + 1, text.size() - open - 2);
  int64_t elements = 1;
  while (!rest.empty()) {
    auto [item, more] = split(rest, ',');
    auto extent = parseInteger(item);
    // The bound keeps a typing error from asking for all memory.
    if (!extent || *extent < 0 ||
        (*extent && elements > (int64_t(1) << 34) / *extent))
      return Error{"dimension: expected a number of reasonable size, got " +
                   quoted(item)};
    elements *= *extent;
    shape.push_back(*extent);
    rest = more;
  }
  return runtime::StridedArray::contiguous(*type, std::move(shape));
}

} // namespace

std::optional<int64_t> flash::tool::parseInteger(std::string_view text) {
  std::string copy(text);
  char *end;
  errno = 0;
  long long value = copy.starts_with("0x") && copy.size() > 10
                        ? (long long)std::strtoull(copy.c_str(), &end, 0)
                        : std::strtoll(copy.c_str(), &end, 0);
  if (copy.empty() || *end || errno)
    return std::nullopt;
  return value;
}

Result<uint64_t> Buffers::add(std::string_view name, std::string_view spec) {
  auto [kind, rest] = split(spec, ':');
  bool isOut = kind == "out", isInOut = kind == "inout";
  if (!isOut && !isInOut && kind != "in")
    return Error{
        "buffer " + quoted(name) +
        ": expected in:FILE, out:DTYPE[dims]:FILE or inout:FILE, got " +
        quoted(spec)};
  std::string path;
  runtime::StridedArray array;
  if (isOut) {
    size_t close = rest.find(']');
    if (close == std::string_view::npos || close + 1 >= rest.size() ||
        rest[close + 1] != ':' || close + 2 >= rest.size())
      return Error{"buffer " + quoted(name) +
                   ": expected out:DTYPE[dims]:FILE, got " + quoted(spec)};
    auto shape = parseShape(rest.substr(0, close + 1));
    if (!shape)
      return Error{"buffer " + quoted(name) + ": " + shape.error().message};
    array = std::move(*shape);
    path = rest.substr(close + 2);
  } else {
    path = rest;
    auto file = runtime::readNpy(path);
    if (!file)
      return Error{"buffer " + quoted(name) + ": " + file.error().message};
    array = std::move(*file);
  }
  std::vector<std::byte> bytes = array.logicalBytes();
  uint64_t address = device.allocate(name, bytes.size(),
                                     isOut ? emu::Contents::Uninitialised
                                           : emu::Contents::Zero);
  if (!address)
    return Error{"buffer " + quoted(name) + " is given twice"};
  if (!isOut)
    device.write(address, bytes.data(), bytes.size());
  if (isOut || isInOut)
    outputs.push_back({address, std::move(path), std::move(array)});
  return address;
}

Result<uint64_t> Buffers::pointer(std::string_view text) const {
  auto [name, offset] = split(text.substr(1), '+');
  uint64_t address = device.address(name);
  if (!address)
    return Error{"unknown buffer " + quoted(name)};
  if (offset.empty())
    return address;
  auto bytes = parseInteger(offset);
  if (!bytes)
    return Error{"expected an offset in bytes, got " + quoted(offset)};
  return address + uint64_t(*bytes);
}

Status Buffers::save() const {
  for (const Output &output : outputs) {
    runtime::StridedArray array = output.array;
    auto bytes = device.bytes(output.address);
    array.setLogicalBytes(bytes);
    if (auto status = runtime::writeNpy(output.path, array); !status)
      return status.error();
  }
  return Success{};
}

Status flash::tool::setArgument(emu::ArgumentBuffer &arguments,
                                const emu::ParamInfo &param, unsigned index,
                                std::string_view spec, Buffers &buffers) {
  std::string where =
      "argument " + std::to_string(index) + " (" + param.name + "): ";
  auto store = [&](const void *data, size_t size) -> Status {
    if (arguments.setBytes(index, data, size))
      return Success{};
    return Error{where + "expected " + std::to_string(param.size) +
                 " bytes, got " + std::to_string(size) + " from " +
                 quoted(spec)};
  };
  if (spec.starts_with("@")) {
    auto address = buffers.pointer(spec);
    if (!address)
      return Error{where + address.error().message};
    return store(&*address, 8);
  }
  auto [kind, rest] = split(spec, ':');
  if (kind == "in" || kind == "out" || kind == "inout") {
    auto address = buffers.add("arg" + std::to_string(index), spec);
    if (!address)
      return Error{where + address.error().message};
    return store(&*address, 8);
  }
  if (kind == "i32" || kind == "i64") {
    auto value = parseInteger(rest);
    if (!value)
      return Error{where + "expected an integer, got " + quoted(rest)};
    if (kind == "i32" && (*value < INT32_MIN || *value > int64_t(UINT32_MAX)))
      return Error{where + "expected 32 bits, got " + quoted(rest)};
    return store(&*value, kind == "i32" ? 4 : 8);
  }
  if (kind == "f32" || kind == "f64") {
    auto value = parseReal(rest);
    if (!value)
      return Error{where + "expected a number, got " + quoted(rest)};
    float single = float(*value);
    return kind == "f32" ? store(&single, 4) : store(&*value, 8);
  }
  if (kind == "bytes") {
    auto [path, patches] = split(rest, ',');
    auto file = runtime::readFile(std::string(path));
    if (!file)
      return Error{where + file.error().message};
    std::vector<std::byte> bytes = std::move(*file);
    while (!patches.empty()) {
      auto [patch, more] = split(patches, ',');
      patches = more;
      auto [at, target] = split(patch, '=');
      auto offset = parseInteger(at);
      if (!offset || *offset < 0 || uint64_t(*offset) + 8 > bytes.size() ||
          !target.starts_with("@"))
        return Error{where + "expected OFFSET=@NAME+OFFSET inside the " +
                     std::to_string(bytes.size()) + " bytes, got " +
                     quoted(patch)};
      auto address = buffers.pointer(target);
      if (!address)
        return Error{where + address.error().message};
      std::memcpy(bytes.data() + *offset, &*address, 8);
    }
    return store(bytes.data(), bytes.size());
  }
  if (kind == "tensormap")
    return Error{where + "tensormap: tensor maps are not supported"};
  return Error{where +
               "expected i32:, i64:, f32:, f64:, in:, out:, inout:, @NAME or "
               "bytes:, got " +
               quoted(spec)};
}
