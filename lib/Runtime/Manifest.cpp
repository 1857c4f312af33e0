//===- Manifest.cpp - The manifest as JSON --------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Manifest.h"

#include "flash/Runtime/Expression.h"

#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>

#include <set>

using namespace flash::runtime;

using Json = nlohmann::ordered_json;

namespace {

constexpr std::string_view kKinds[] = {"pointer", "i32", "i64", "f32"};
constexpr std::string_view kRoles[] = {
    "query",     "key",       "value",    "output", "lse",    "capture",
    "workspace", "size",      "stride",   "extent", "scale",  "q_descale",
    "k_descale", "v_descale"};
constexpr unsigned kMaxRank = 64;
/// Shared memory of one CTA stays far below this on every chip.
constexpr int64_t kMaxSharedBytes = 1 << 20;

template <typename Enum, size_t N>
std::optional<Enum> parseName(const std::string_view (&names)[N],
                              std::string_view text) {
  for (size_t i = 0; i < N; ++i)
    if (names[i] == text)
      return Enum(i);
  return std::nullopt;
}

ParameterKind kindOf(ParameterRole role) {
  switch (role) {
  case ParameterRole::Size:
    return ParameterKind::I32;
  case ParameterRole::Stride:
  case ParameterRole::Extent:
    return ParameterKind::I64;
  case ParameterRole::Scale:
    return ParameterKind::F32;
  default:
    return ParameterKind::Pointer;
  }
}

void putLaunchShape(Json &json, const KernelLaunch &launch) {
  json["grid"] = launch.grid;
  json["block"] = launch.block;
  json["cluster"] = launch.cluster;
}

/// Roles of numbers that belong to one dimension of a pointer.
bool isOfDimension(ParameterRole role) {
  return role == ParameterRole::Stride || role == ParameterRole::Extent;
}

Json toJsonValue(const Parameter &parameter) {
  Json json;
  json["name"] = parameter.name;
  json["kind"] = name(parameter.kind);
  json["role"] = name(parameter.role);
  if (parameter.kind == ParameterKind::Pointer) {
    json["dtype"] = name(parameter.dtype);
    json["rank"] = parameter.rank;
    json["align"] = parameter.align;
    json["row_align"] = parameter.rowAlign;
    json["unit_inner_stride"] = parameter.unitInnerStride;
    if (!parameter.shape.empty())
      json["shape"] = parameter.shape;
  }
  if (isOfDimension(parameter.role)) {
    json["of"] = parameter.of;
    json["dim"] = parameter.dim;
  }
  if (parameter.role == ParameterRole::Scale) {
    json["value"] = parameter.value;
    json["positive"] = parameter.positive;
  }
  return json;
}

/// Reads members of one JSON object; the first thing wrong stays in `error`
/// and later reads yield defaults.
class ObjectReader {
public:
  ObjectReader(const Json &json, std::string where)
      : json(json), where(std::move(where)) {
    if (!json.is_object())
      fail("expected an object, got " + std::string(json.type_name()));
  }

  std::string text(const char *key) {
    const Json *member = get(key);
    if (!member)
      return "";
    if (!member->is_string()) {
      fail(key, "a string", *member);
      return "";
    }
    return member->get<std::string>();
  }

  int64_t integer(const char *key, int64_t low, int64_t high) {
    const Json *member = get(key);
    if (!member)
      return low;
    bool fits = member->is_number_integer() &&
                !(member->is_number_unsigned() &&
                  member->get<uint64_t>() > uint64_t(INT64_MAX));
    if (!fits || member->get<int64_t>() < low ||
        member->get<int64_t>() > high) {
      fail(key,
           "an integer from " + std::to_string(low) + " to " +
               std::to_string(high),
           *member);
      return low;
    }
    return member->get<int64_t>();
  }

  bool boolean(const char *key) {
    const Json *member = get(key);
    if (member && !member->is_boolean())
      fail(key, "true or false", *member);
    return member && member->is_boolean() && member->get<bool>();
  }

  double number(const char *key) {
    const Json *member = get(key);
    if (member && !member->is_number())
      fail(key, "a number", *member);
    return member && member->is_number() ? member->get<double>() : 0.0;
  }

  std::string expression(const char *key) {
    std::string formula = text(key);
    verify(key, formula);
    return formula;
  }

  std::array<std::string, 3> expressions(const char *key) {
    std::array<std::string, 3> out = {"1", "1", "1"};
    std::vector<std::string> read = texts(key);
    if (!error && read.size() != 3)
      fail(std::string(key) + ": expected three expressions, got " +
           std::to_string(read.size()));
    for (size_t i = 0; i < 3 && !error; ++i)
      verify(key, out[i] = read[i]);
    return out;
  }

  std::vector<std::string> texts(const char *key) {
    std::vector<std::string> out;
    const Json *member = get(key);
    if (member && !member->is_array())
      fail(key, "an array of strings", *member);
    if (!member || error)
      return out;
    for (const Json &entry : *member) {
      if (!entry.is_string()) {
        fail(key, "an array of strings", entry);
        break;
      }
      out.push_back(entry.get<std::string>());
    }
    return out;
  }

  std::map<std::string, std::string> textMap(const char *key) {
    std::map<std::string, std::string> out;
    const Json *member = get(key);
    if (member && !member->is_object())
      fail(key, "an object of strings", *member);
    if (!member || error)
      return out;
    for (const auto &entry : member->items()) {
      if (!entry.value().is_string()) {
        fail(key, "an object of strings", entry.value());
        break;
      }
      out[entry.key()] = entry.value().get<std::string>();
    }
    return out;
  }

  bool has(const char *key) const {
    return json.is_object() && json.contains(key);
  }

  const Json *get(const char *key) {
    if (error)
      return nullptr;
    auto it = json.find(key);
    if (it == json.end()) {
      fail("missing member '" + std::string(key) + "'");
      return nullptr;
    }
    return &*it;
  }

  void fail(const std::string &message) {
    if (!error)
      error = Error{where + ": " + message};
  }

  void verify(const char *key, const std::string &formula) {
    if (error)
      return;
    if (Status status = verifyExpression(formula); !status)
      fail(std::string(key) + ": " + status.error().str());
  }

  std::optional<Error> error;

private:
  void fail(const char *key, const std::string &expected, const Json &got) {
    std::string shown =
        got.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40);
    fail(std::string(key) + ": expected " + expected + ", got " + shown);
  }

  const Json &json;
  std::string where;
};

Result<Parameter> parseParameter(const Json &json, const std::string &where) {
  ObjectReader reader(json, where);
  Parameter parameter;
  parameter.name = reader.text("name");
  std::string kindText = reader.text("kind");
  std::string roleText = reader.text("role");
  if (reader.error)
    return *reader.error;
  std::optional<ParameterKind> kind =
      parseName<ParameterKind>(kKinds, kindText);
  std::optional<ParameterRole> role =
      parseName<ParameterRole>(kRoles, roleText);
  if (!kind)
    return Error{where +
                 ": kind: expected one of pointer, i32, i64, f32, got "
                 "'" +
                 kindText + "'"};
  if (!role)
    return Error{where +
                 ": role: expected one of query, key, value, output, "
                 "lse, capture, workspace, size, stride, extent, scale, "
                 "q_descale, k_descale, v_descale, got '" +
                 roleText + "'"};
  if (*role != ParameterRole::Capture && kindOf(*role) != *kind)
    return Error{where + ": kind: expected " +
                 std::string(name(kindOf(*role))) + " for role " + roleText +
                 ", got " + kindText};
  parameter.kind = *kind;
  parameter.role = *role;
  if (*kind == ParameterKind::Pointer) {
    std::string typeText = reader.text("dtype");
    std::optional<DType> dtype = parseDType(typeText);
    if (!reader.error && !dtype)
      reader.fail("dtype: expected a type of the runtime, got '" + typeText +
                  "'");
    parameter.dtype = dtype.value_or(DType::F16);
    parameter.rank = unsigned(reader.integer("rank", 0, kMaxRank));
    parameter.align = reader.integer("align", 1, 1 << 20);
    parameter.rowAlign = reader.integer("row_align", 1, 1 << 20);
    parameter.unitInnerStride = reader.boolean("unit_inner_stride");
    if (reader.has("shape"))
      parameter.shape = reader.texts("shape");
    if (!parameter.shape.empty() && parameter.shape.size() != parameter.rank)
      reader.fail("shape: expected " + std::to_string(parameter.rank) +
                  " extents, as the rank, got " +
                  std::to_string(parameter.shape.size()));
    for (const std::string &extent : parameter.shape)
      if (extent != "?")
        reader.verify("shape", extent);
  }
  if (isOfDimension(*role)) {
    parameter.of = reader.text("of");
    parameter.dim = unsigned(reader.integer("dim", 0, kMaxRank - 1));
  }
  if (*role == ParameterRole::Scale) {
    parameter.value = reader.number("value");
    parameter.positive = reader.boolean("positive");
  }
  if (*role == ParameterRole::Size && parameter.name != "b" &&
      parameter.name != "hq" && parameter.name != "hkv" &&
      parameter.name != "sq" && parameter.name != "sk")
    reader.fail(
        "name: expected one of b, hq, hkv, sq, sk for role size, got '" +
        parameter.name + "'");
  if (reader.error)
    return *reader.error;
  return parameter;
}

/// What `launch` and every entry of `before` say alike.
void parseLaunchShape(ObjectReader &reader, KernelLaunch &launch) {
  launch.grid = reader.expressions("grid");
  launch.block = reader.expressions("block");
  launch.cluster = reader.expressions("cluster");
}

Result<KernelLaunch> parseLaunch(const Json &json, const std::string &where) {
  ObjectReader reader(json, where);
  KernelLaunch launch;
  launch.entry = reader.text("entry");
  launch.parameters = reader.texts("parameters");
  parseLaunchShape(reader, launch);
  launch.dynamicSharedBytes =
      reader.integer("dynamic_shared_bytes", 0, kMaxSharedBytes);
  if (reader.error)
    return *reader.error;
  return launch;
}

/// Names are unique, strides and extents belong to a pointer's dimension.
Status verifyParameters(const Manifest &manifest) {
  std::set<std::string_view> names;
  for (const Parameter &parameter : manifest.parameters) {
    std::string where = "manifest parameter '" + parameter.name + "'";
    if (!names.insert(parameter.name).second)
      return Error{where + ": expected a unique name"};
    if (!isOfDimension(parameter.role))
      continue;
    const Parameter *of = manifest.find(parameter.of);
    if (!of || of->kind != ParameterKind::Pointer)
      return Error{where + ": of: expected the name of a pointer, got '" +
                   parameter.of + "'"};
    if (parameter.dim >= of->rank)
      return Error{where + ": dim: expected less than the rank, " +
                   std::to_string(of->rank) + ", got " +
                   std::to_string(parameter.dim)};
  }
  for (const KernelLaunch &launch : manifest.launches())
    for (const std::string &parameter : launch.parameters)
      if (!names.count(parameter))
        return Error{"manifest launch of '" + launch.entry +
                     "': parameters: expected names of parameters, got '" +
                     parameter + "'"};
  return Success{};
}

/// Files lie beside the manifest: a package cannot name others of the machine.
Status verifyFiles(const Manifest &manifest) {
  for (const auto &[kind, file] : manifest.files) {
    if (kind != "ptx" && kind != "cubin")
      return Error{"manifest: files: expected ptx or cubin, got '" + kind +
                   "'"};
    if (file.empty() || file == "." || file == ".." ||
        file.find('/') != std::string::npos)
      return Error{"manifest: files: expected the name of a file beside the "
                   "manifest, got '" +
                   file + "'"};
  }
  return Success{};
}

} // namespace

std::string_view flash::runtime::name(ParameterKind kind) {
  return kKinds[unsigned(kind)];
}

std::string_view flash::runtime::name(ParameterRole role) {
  return kRoles[unsigned(role)];
}

std::string Manifest::toJson() const {
  Json json;
  json["version"] = before.empty() ? 1 : kVersion;
  json["entry"] = entry;
  json["chip"] = chip;
  json["ptx_isa"] = ptxIsa;
  json["attention"] = attention;
  json["parameters"] = Json::array();
  for (const Parameter &parameter : parameters)
    json["parameters"].push_back(toJsonValue(parameter));
  putLaunchShape(json["launch"], launches().back());
  if (!entryParameters.empty())
    json["launch"]["parameters"] = entryParameters;
  json["dynamic_shared_bytes"] = dynamicSharedBytes;
  for (const KernelLaunch &launch : before) {
    Json entry;
    entry["entry"] = launch.entry;
    entry["parameters"] = launch.parameters;
    putLaunchShape(entry, launch);
    entry["dynamic_shared_bytes"] = launch.dynamicSharedBytes;
    json["before"].push_back(std::move(entry));
  }
  json["shared_fits"] = sharedFits;
  json["workspace_bytes"] = workspaceBytes;
  for (const auto &[kind, file] : files)
    json["files"][kind] = file;
  json["schedule"] = Json::object();
  for (const auto &[key, value] : schedule)
    json["schedule"][key] = value;
  json["versions"] = Json::object();
  for (const auto &[key, value] : versions)
    json["versions"][key] = value;
  return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

Result<Manifest> Manifest::parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return Error{"manifest: expected well-formed JSON"};
  ObjectReader reader(json, "manifest");
  int64_t version = reader.integer("version", 1, kVersion);
  Manifest manifest;
  manifest.entry = reader.text("entry");
  manifest.chip = reader.text("chip");
  manifest.ptxIsa = reader.text("ptx_isa");
  manifest.attention = reader.text("attention");
  if (const Json *list = reader.get("parameters")) {
    if (!list->is_array())
      reader.fail("parameters: expected an array");
    for (size_t i = 0; !reader.error && i < list->size(); ++i) {
      Result<Parameter> parameter =
          parseParameter((*list)[i], "manifest parameter " + std::to_string(i));
      if (!parameter)
        return parameter.error();
      manifest.parameters.push_back(std::move(*parameter));
    }
  }
  if (const Json *launch = reader.get("launch")) {
    ObjectReader launchReader(*launch, "manifest launch");
    KernelLaunch shape;
    parseLaunchShape(launchReader, shape);
    manifest.grid = shape.grid;
    manifest.block = shape.block;
    manifest.cluster = shape.cluster;
    if (launchReader.has("parameters"))
      manifest.entryParameters = launchReader.texts("parameters");
    if (launchReader.error)
      return *launchReader.error;
  }
  manifest.dynamicSharedBytes =
      reader.integer("dynamic_shared_bytes", 0, kMaxSharedBytes);
  if (const Json *list = version > 1 ? reader.get("before") : nullptr) {
    if (!list->is_array())
      reader.fail("before: expected an array");
    for (size_t i = 0; !reader.error && i < list->size(); ++i) {
      Result<KernelLaunch> launch =
          parseLaunch((*list)[i], "manifest launch " + std::to_string(i));
      if (!launch)
        return launch.error();
      manifest.before.push_back(std::move(*launch));
    }
  }
  manifest.sharedFits = reader.texts("shared_fits");
  manifest.workspaceBytes = reader.expression("workspace_bytes");
  if (reader.has("files"))
    manifest.files = reader.textMap("files");
  manifest.schedule = reader.textMap("schedule");
  manifest.versions = reader.textMap("versions");
  if (reader.error)
    return *reader.error;
  if (!manifest.attention.empty())
    if (Result<AttentionSpec> spec = AttentionSpec::parse(manifest.attention);
        !spec)
      return Error{"manifest: attention: " + spec.error().str()};
  if (Status status = verifyParameters(manifest); !status)
    return status.error();
  if (Status status = verifyFiles(manifest); !status)
    return status.error();
  return manifest;
}

const Parameter *Manifest::find(std::string_view wanted) const {
  for (const Parameter &parameter : parameters)
    if (parameter.name == wanted)
      return &parameter;
  return nullptr;
}

std::vector<KernelLaunch> Manifest::launches() const {
  std::vector<KernelLaunch> all = before;
  KernelLaunch last{entry, entryParameters, grid,
                    block, cluster,         dynamicSharedBytes};
  if (last.parameters.empty())
    for (const Parameter &parameter : parameters)
      last.parameters.push_back(parameter.name);
  all.push_back(std::move(last));
  return all;
}
