//===- Package.cpp - A kernel with all it takes to launch it --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Package.h"

#include "flash/Runtime/Npy.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <unistd.h>

using namespace flash::runtime;

namespace fs = std::filesystem;

namespace {

constexpr const char *kManifest = "manifest.json";
constexpr const char *kPtx = "kernel.ptx";
constexpr const char *kCubin = "kernel.cubin";

std::string inQuotes(const fs::path &path) { return "'" + path.string() + "'"; }

Result<std::string> readText(const fs::path &path) {
  Result<std::vector<std::byte>> bytes = readFile(path.string());
  if (!bytes)
    return bytes.error();
  return std::string(reinterpret_cast<const char *>(bytes->data()),
                     bytes->size());
}

/// A directory that is there may be replaced if it is empty or a package.
Status verifyReplaceable(const fs::path &directory) {
  std::error_code error;
  fs::file_status status = fs::symlink_status(directory, error);
  if (!fs::exists(status))
    return Success{};
  auto refuse = [&](const std::string &got) -> Status {
    return Error{inQuotes(directory) +
                 ": expected a new directory or a package to replace, got " +
                 got};
  };
  if (!fs::is_directory(status))
    return refuse("a file");
  static const std::set<std::string> known = {kManifest, kPtx, kCubin};
  for (fs::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error))
    if (std::string name = it->path().filename().string(); !known.count(name))
      return refuse("a directory that holds '" + name + "'");
  if (error)
    return Error{"cannot read " + inQuotes(directory) + ": " + error.message()};
  return Success{};
}

/// Removes a directory of ours when it goes out of scope.
struct TemporaryDirectory {
  fs::path path;
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path.empty())
      fs::remove_all(path, ignored);
  }
};

Status move(const fs::path &from, const fs::path &to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    return Error{"cannot write " + inQuotes(to) + ": " + error.message()};
  return Success{};
}

} // namespace

Result<Manifest> flash::runtime::readManifest(const std::string &path) {
  Result<std::string> text = readText(path);
  if (!text)
    return text.error();
  Result<Manifest> manifest = Manifest::parse(*text);
  if (!manifest)
    return Error{"'" + path + "': " + manifest.error().message};
  return manifest;
}

Result<Package> flash::runtime::readPackage(const std::string &path) {
  std::error_code ignored;
  fs::path file = path;
  if (fs::is_directory(file, ignored))
    file /= kManifest;
  Result<Manifest> manifest = readManifest(file.string());
  if (!manifest)
    return manifest.error();
  Package package;
  package.manifest = std::move(*manifest);
  const auto &files = package.manifest.files;
  fs::path ptx = fs::path(file).replace_extension("ptx");
  if (auto it = files.find("ptx"); it != files.end())
    ptx = file.parent_path() / it->second;
  Result<std::string> text = readText(ptx);
  if (!text)
    return text.error();
  package.ptx = std::move(*text);
  if (auto it = files.find("cubin"); it != files.end()) {
    Result<std::string> cubin = readText(file.parent_path() / it->second);
    if (!cubin)
      return cubin.error();
    package.cubin = std::move(*cubin);
  }
  return package;
}

Status flash::runtime::writePackage(Package package,
                                    const std::string &directory) {
  // "DIR/" names the same as "DIR".
  fs::path target = fs::path(directory).lexically_normal();
  if (!target.has_filename())
    target = target.parent_path();
  if (Status status = verifyReplaceable(target); !status)
    return status;

  std::string name = (target.parent_path() / ".flash-XXXXXX").string();
  if (!mkdtemp(name.data()))
    return Error{"cannot write " + inQuotes(target) + ": " +
                 std::strerror(errno)};
  TemporaryDirectory temporary{name};
  fs::path fresh = temporary.path / "new", old = temporary.path / "old";
  std::error_code error;
  fs::create_directory(fresh, error);
  if (error)
    return Error{"cannot write " + inQuotes(target) + ": " + error.message()};

  package.manifest.files = {{"ptx", kPtx}};
  if (!package.cubin.empty())
    package.manifest.files["cubin"] = kCubin;
  std::string manifest = package.manifest.toJson();
  for (auto [file, text] :
       {std::pair<const char *, const std::string *>{kPtx, &package.ptx},
        {kCubin, &package.cubin},
        {kManifest, &manifest}})
    if (!text->empty())
      if (Status status = writeFileAtomically((fresh / file).string(),
                                              std::as_bytes(std::span(*text)));
          !status)
        return status;

  bool replaces = fs::exists(target, error);
  if (replaces)
    if (Status status = move(target, old); !status)
      return status;
  Status status = move(fresh, target);
  if (!status && replaces)
    (void)move(old, target);
  return status;
}
