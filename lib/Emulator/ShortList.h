//===- ShortList.h - A list whose first entries lie in place ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_SHORTLIST_H
#define FLASH_LIB_EMULATOR_SHORTLIST_H

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace flash::emu {

/// A list of T, of which the first N need no memory of their own. Once it has
/// been longer it stays in allocated memory. It cannot be copied or moved.
template <typename T, unsigned N> class ShortList {
  static_assert(std::is_trivially_copyable_v<T>);

public:
  ShortList() = default;
  ShortList(const ShortList &) = delete;
  ShortList &operator=(const ShortList &) = delete;

  T *begin() { return more ? more.get() : place; }
  T *end() { return begin() + count; }
  T &back() { return begin()[count - 1]; }
  void clear() { count = 0; }
  void push_back(const T &value) {
    if (count == capacity)
      grow();
    begin()[count++] = value;
  }
  /// Drops the entries for which `drop` holds; the others keep their order.
  template <typename F> void eraseIf(F drop) {
    T *first = begin(), *last = first + count;
    T *kept = std::find_if(first, last, drop);
    if (kept == last)
      return;
    for (T *entry = kept + 1; entry != last; ++entry)
      if (!drop(*entry))
        *kept++ = *entry;
    count = uint32_t(kept - first);
  }

private:
  void grow() {
    auto wider = std::make_unique<T[]>(capacity * 2);
    std::copy(begin(), end(), wider.get());
    more = std::move(wider);
    capacity *= 2;
  }

  uint32_t count = 0;
  uint32_t capacity = N;
  std::unique_ptr<T[]> more;
  T place[N];
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_SHORTLIST_H
