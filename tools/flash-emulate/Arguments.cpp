//===- Arguments.cpp - Buffers and arguments of flash-emulate ---*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <tuple>

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

/// As split(), at the first `separator` outside parentheses.
std::pair<std::string_view, std::string_view>
splitOutside(std::string_view text, char separator) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (depth == 0 && text[i] == separator)
      return {text.substr(0, i), text.substr(i + 1)};
  }
  return {text, {}};
}

/// "64x128" as numbers: `least` to `most` of them.
Result<std::vector<uint64_t>> parseExtents(std::string_view key,
                                           std::string_view text, size_t least,
                                           size_t most) {
  std::vector<uint64_t> values;
  std::string expected =
      std::string(key) + "=: expected " +
      (least == most ? std::to_string(least)
                     : std::to_string(least) + " to " + std::to_string(most)) +
      (most == 1 ? " number" : " numbers separated by 'x'") + ", got " +
      quoted(text);
  std::string_view rest = text;
  while (true) {
    auto [item, more] = split(rest, 'x');
    auto value = parseInteger(item);
    if (!value || *value < 0)
      return Error{expected};
    values.push_back(uint64_t(*value));
    if (item.size() == rest.size())
      break;
    rest = more;
  }
  if (values.size() < least || values.size() > most)
    return Error{expected};
  return values;
}

/// Tensor maps know bytes, not numbers: types of arrays that have no name of
/// their own there.
std::optional<emu::TensorMapType> parseMapType(std::string_view name) {
  static constexpr std::pair<std::string_view, emu::TensorMapType> others[] = {
      {"i32", emu::TensorMapType::S32}, {"i64", emu::TensorMapType::S64},
      {"i16", emu::TensorMapType::U16}, {"i8", emu::TensorMapType::U8},
      {"e4m3", emu::TensorMapType::U8}, {"e5m2", emu::TensorMapType::U8}};
  for (auto [other, type] : others)
    if (other == name)
      return type;
  return emu::parseTensorMapType(name);
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

/// Writes what "OFFSET=PATCH,..." says into `bytes`.
static Status applyPatches(std::vector<std::byte> &bytes,
                           std::string_view patches, const Buffers &buffers) {
  while (!patches.empty()) {
    auto [patch, more] = splitOutside(patches, ',');
    patches = more;
    auto [at, value] = split(patch, '=');
    auto offset = parseInteger(at);
    bool isMap = value.starts_with("tensormap(") && value.ends_with(")");
    size_t size = isMap ? sizeof(emu::TensorMap) : 8;
    if (!offset || *offset < 0 || uint64_t(*offset) > bytes.size() ||
        bytes.size() - uint64_t(*offset) < size ||
        !(isMap || value.starts_with("@")))
      return Error{"expected OFFSET=@NAME+OFFSET or OFFSET=tensormap(...) "
                   "inside the " +
                   std::to_string(bytes.size()) + " bytes, got " +
                   quoted(patch)};
    if (isMap) {
      auto map = parseTensorMap(value.substr(10, value.size() - 11), buffers);
      if (!map)
        return map.error();
      std::memcpy(bytes.data() + *offset, &*map, size);
      continue;
    }
    auto address = buffers.pointer(value);
    if (!address)
      return address.error();
    std::memcpy(bytes.data() + *offset, &*address, size);
  }
  return Success{};
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
  std::string_view patches;
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
    std::tie(path, patches) = split(rest, ',');
    auto file = runtime::readNpy(path);
    if (!file)
      return Error{"buffer " + quoted(name) + ": " + file.error().message};
    array = std::move(*file);
  }
  std::vector<std::byte> bytes = array.logicalBytes();
  if (auto status = applyPatches(bytes, patches, *this); !status)
    return Error{"buffer " + quoted(name) + ": " + status.error().message};
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

Result<emu::TensorMap> flash::tool::parseTensorMap(std::string_view text,
                                                   const Buffers &buffers) {
  auto failed = [](std::string message) {
    return Error{"tensormap: " + message};
  };
  auto [target, afterTarget] = split(text, ',');
  auto [typeName, rest] = split(afterTarget, ',');
  if (!target.starts_with("@"))
    return failed("expected @NAME,DTYPE,dims=..,box=.., got " + quoted(text));
  emu::TensorMapSpec spec;
  auto address = buffers.pointer(target);
  if (!address)
    return failed(address.error().message);
  spec.address = *address;
  auto type = parseMapType(typeName);
  if (!type)
    return failed("element type: expected u8, u16, u32, s32, u64, s64, f16, "
                  "bf16, f32, f32_ftz, tf32, tf32_ftz or f64, got " +
                  quoted(typeName));
  spec.type = *type;

  // The number of dims is the rank, which the other lists must follow.
  std::vector<std::pair<std::string_view, std::string_view>> settings;
  static constexpr std::string_view keys[] = {
      "dims",       "strides", "box", "elementstrides",
      "interleave", "swizzle", "fill"};
  while (!rest.empty()) {
    auto [setting, more] = split(rest, ',');
    rest = more;
    auto [key, value] = split(setting, '=');
    if (std::find(std::begin(keys), std::end(keys), key) == std::end(keys) ||
        key.size() == setting.size())
      return failed("expected dims=, strides=, box=, elementstrides=, "
                    "interleave=, swizzle= or fill=, got " +
                    quoted(setting));
    for (auto &[other, unused] : settings)
      if (other == key)
        return failed(std::string(key) + "= is given twice");
    settings.emplace_back(key, value);
  }
  auto find = [&](std::string_view key) -> std::optional<std::string_view> {
    for (auto &[name, value] : settings)
      if (name == key)
        return value;
    return std::nullopt;
  };
  auto dims = find("dims"), box = find("box");
  if (!dims || !box)
    return failed(std::string(dims ? "box" : "dims") +
                  "=: expected one extent per dimension, got none");
  auto extents = parseExtents("dims", *dims, 1, emu::kMaxTensorRank);
  if (!extents)
    return failed(extents.error().message);
  size_t rank = extents->size();
  spec.rank = unsigned(rank);
  std::copy(extents->begin(), extents->end(), spec.dims.begin());
  spec.setDenseStrides();
  if (auto text = find("strides"); text && !(rank == 1 && text->empty())) {
    auto values = parseExtents("strides", *text, rank - 1, rank - 1);
    if (!values)
      return failed(values.error().message);
    std::copy(values->begin(), values->end(), spec.strides.begin());
  }
  for (auto [key, into] : {std::pair("box", &spec.box),
                           std::pair("elementstrides", &spec.elementStrides)})
    if (auto text = find(key)) {
      auto values = parseExtents(key, *text, rank, rank);
      if (!values)
        return failed(values.error().message);
      for (size_t i = 0; i < rank; ++i)
        (*into)[i] = uint32_t(std::min<uint64_t>((*values)[i], UINT32_MAX));
    }
  if (auto text = find("swizzle")) {
    auto swizzle = emu::parseTensorMapSwizzle(*text);
    if (!swizzle)
      return failed("swizzle=: expected none, 32B, 64B, 128B, 128B_atom_32B, "
                    "128B_atom_32B_flip_8B or 128B_atom_64B, got " +
                    quoted(*text));
    spec.swizzle = *swizzle;
  }
  if (auto text = find("fill")) {
    if (*text != "zero" && *text != "nan")
      return failed("fill=: expected zero or nan, got " + quoted(*text));
    spec.fill =
        *text == "nan" ? emu::TensorMapFill::NaN : emu::TensorMapFill::Zero;
  }
  if (auto text = find("interleave")) {
    if (*text != "none" && *text != "16B" && *text != "32B")
      return failed("interleave=: expected none, got " + quoted(*text));
    spec.interleave = *text == "16B"   ? emu::TensorMapInterleave::B16
                      : *text == "32B" ? emu::TensorMapInterleave::B32
                                       : emu::TensorMapInterleave::None;
  }
  std::string error;
  auto map = emu::encodeTensorMap(spec, error);
  if (!map)
    return failed(error);
  return *map;
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
    if (auto status = applyPatches(bytes, patches, buffers); !status)
      return Error{where + status.error().message};
    return store(bytes.data(), bytes.size());
  }
  if (kind == "tensormap") {
    auto map = parseTensorMap(rest, buffers);
    if (!map)
      return Error{where + map.error().message};
    return store(&*map, sizeof(*map));
  }
  return Error{where +
               "expected i32:, i64:, f32:, f64:, in:, out:, inout:, @NAME, "
               "bytes: or tensormap:, got " +
               quoted(spec)};
}
