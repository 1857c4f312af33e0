//===- PackageTest.cpp ----------------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Package.h"
#include "flash/Runtime/CudaDevice.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace flash::runtime;
namespace fs = std::filesystem;

namespace {

/// A directory that is gone after the test.
class PackageTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "flash-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(name.data()));
    directory = name;
  }
  void TearDown() override { fs::remove_all(directory); }

  static Package example() {
    Package package;
    package.manifest.entry = "attention";
    package.manifest.chip = "sm_80";
    package.manifest.ptxIsa = "7.0";
    package.manifest.parameters =
        attentionParameters(DType::F16, DType::F16, false);
    package.ptx = ".version 7.0\n";
    package.cubin = std::string("\x7f"
                                "ELF\0\0",
                                6);
    return package;
  }

  size_t numEntries() const {
    return size_t(std::distance(fs::directory_iterator(directory), {}));
  }

  fs::path directory;
};

TEST_F(PackageTest, RoundTrip) {
  std::string path = directory / "p";
  ASSERT_TRUE(writePackage(example(), path));
  EXPECT_EQ(numEntries(), 1u);
  for (const char *name : {"p", "p/", "p/manifest.json"}) {
    Result<Package> read = readPackage(directory / name);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->ptx, example().ptx);
    EXPECT_EQ(read->cubin, example().cubin);
    EXPECT_EQ(read->manifest.files.at("cubin"), "kernel.cubin");
  }
}

TEST_F(PackageTest, ReplacesWhole) {
  std::string path = directory / "p";
  ASSERT_TRUE(writePackage(example(), path));
  Package other = example();
  other.ptx = ".version 8.0\n";
  other.cubin.clear();
  ASSERT_TRUE(writePackage(other, path));
  Result<Package> read = readPackage(path);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ptx, other.ptx);
  // The machine code of the package that was there is gone with it.
  EXPECT_TRUE(read->cubin.empty());
  EXPECT_FALSE(fs::exists(directory / "p/kernel.cubin"));
  EXPECT_EQ(numEntries(), 1u);
}

TEST_F(PackageTest, LeavesOtherDirectoriesAlone) {
  fs::create_directory(directory / "p");
  std::ofstream(directory / "p" / "thesis.tex") << "x";
  Status status = writePackage(example(), directory / "p");
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("holds 'thesis.tex'"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(directory / "p/kernel.ptx"));
  EXPECT_EQ(numEntries(), 1u);
}

TEST_F(PackageTest, KernelBesideItsManifest) {
  Package package = example();
  std::ofstream(directory / "k.json") << package.manifest.toJson();
  EXPECT_FALSE(readPackage(directory / "k.json"));
  std::ofstream(directory / "k.ptx") << package.ptx;
  Result<Package> read = readPackage(directory / "k.json");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->ptx, package.ptx);
  EXPECT_TRUE(read->cubin.empty());
}

TEST(CudaChips, WhatRunsWhere) {
  EXPECT_TRUE(runsAsPtx("sm_80", 80));
  EXPECT_TRUE(runsAsPtx("sm_80", 120));
  EXPECT_FALSE(runsAsPtx("sm_86", 80));
  EXPECT_TRUE(runsAsPtx("sm_90a", 90));
  EXPECT_FALSE(runsAsPtx("sm_90a", 100));
  EXPECT_FALSE(runsAsPtx("gfx90", 90));
  EXPECT_TRUE(runsAsCubin("sm_80", 86));
  EXPECT_FALSE(runsAsCubin("sm_86", 80));
  EXPECT_FALSE(runsAsCubin("sm_80", 90));
  EXPECT_TRUE(runsAsCubin("sm_100", 103));
  EXPECT_FALSE(runsAsCubin("sm_100a", 103));
}

} // namespace
