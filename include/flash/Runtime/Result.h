//===- Result.h - Errors as values ------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The runtime is built without exceptions and without LLVM, so it carries its
// own pair of "a value or why there is none".
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_RESULT_H
#define FLASH_RUNTIME_RESULT_H

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace flash::runtime {

/// Why something was refused. `column` is 1-based and only set where the
/// refused thing is a piece of text on one line (a SPEC, an expression).
struct Error {
  std::string message;
  std::optional<unsigned> column = std::nullopt;

  /// The message, preceded by "column N: " where there is one.
  std::string str() const {
    return column ? "column " + std::to_string(*column) + ": " + message
                  : message;
  }
};

/// A `T` or an `Error`. Reading the value of a failed result is undefined, as
/// is reading the error of a successful one.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state.index() == 0; }
  bool succeeded() const { return state.index() == 0; }
  bool failed() const { return state.index() == 1; }

  T &operator*() & { return *std::get_if<0>(&state); }
  const T &operator*() const & { return *std::get_if<0>(&state); }
  T &&operator*() && { return std::move(*std::get_if<0>(&state)); }
  T *operator->() { return std::get_if<0>(&state); }
  const T *operator->() const { return std::get_if<0>(&state); }

  const Error &error() const { return *std::get_if<1>(&state); }

private:
  std::variant<T, Error> state;
};

/// Success without a value.
struct Success {};

/// The outcome of something that yields no value: `return Success{};` or
/// `return Error{...};`.
using Status = Result<Success>;

} // namespace flash::runtime

#endif // FLASH_RUNTIME_RESULT_H
