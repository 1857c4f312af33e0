//===- Memory.cpp - Device memory and argument buffers ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace flash::emu;

AlignedBytes flash::emu::allocateAligned(size_t bytes) {
  size_t rounded = (bytes + 63) / 64 * 64 + 64;
  void *memory = std::aligned_alloc(64, rounded);
  if (memory)
    std::memset(memory, 0, rounded);
  return AlignedBytes(static_cast<std::byte *>(memory));
}

//===----------------------------------------------------------------------===//
// BufferMap
//===----------------------------------------------------------------------===//

Buffer *BufferMap::below(uint64_t address) {
  auto it = std::upper_bound(
      buffers.begin(), buffers.end(), address,
      [](uint64_t a, const Buffer &buffer) { return a < buffer.address; });
  return it == buffers.begin() ? nullptr : &*std::prev(it);
}

Buffer *BufferMap::containing(uint64_t address, uint64_t size) {
  Buffer *buffer = below(address);
  if (!buffer || size > buffer->size ||
      address - buffer->address > buffer->size - size)
    return nullptr;
  return buffer;
}

Buffer *BufferMap::named(std::string_view name) {
  for (Buffer &buffer : buffers)
    if (buffer.name == name)
      return &buffer;
  return nullptr;
}

Buffer &BufferMap::add(std::string_view name, uint64_t address, uint64_t size,
                       Contents contents) {
  Buffer &buffer = buffers.emplace_back();
  buffer.name = name;
  buffer.address = address;
  buffer.size = size;
  buffer.data = allocateAligned(size);
  if (contents == Contents::Uninitialised) {
    buffer.unread = std::make_unique<uint8_t[]>(size);
    std::memset(buffer.unread.get(), 1, size);
    // A pattern that shows in results: a quiet NaN in every float format.
    std::memset(buffer.data.get(), 0xff, size);
  }
  return buffer;
}

bool BufferMap::remove(uint64_t address) {
  auto it =
      std::find_if(buffers.begin(), buffers.end(), [&](const Buffer &buffer) {
        return buffer.address == address;
      });
  if (it == buffers.end())
    return false;
  buffers.erase(it);
  return true;
}

void BufferMap::watchCtas(bool on) {
  // The marks take twice the memory of the buffer: larger ones go without.
  constexpr uint64_t most = uint64_t(1) << 28;
  for (Buffer &buffer : buffers) {
    buffer.writers.reset();
    buffer.readers.reset();
    if (!on || buffer.size > most)
      continue;
    size_t granules = (buffer.size + 3) / 4;
    buffer.writers = std::make_unique<std::atomic<uint32_t>[]>(granules);
    buffer.readers = std::make_unique<std::atomic<uint32_t>[]>(granules);
  }
}

std::string flash::emu::describeGlobal(BufferMap &buffers, BufferMap &variables,
                                       uint64_t address) {
  char text[256];
  Buffer *buffer = buffers.below(address);
  if (!buffer || address - buffer->address > buffer->size + kGuardBytes)
    if (Buffer *variable = variables.below(address);
        variable && address - variable->address <= variable->size + kGuardBytes)
      buffer = variable;
  if (!buffer || address - buffer->address > buffer->size + kGuardBytes) {
    std::snprintf(text, sizeof(text), "address 0x%llx, in no buffer",
                  (unsigned long long)address);
    return text;
  }
  uint64_t offset = address - buffer->address;
  if (offset < buffer->size)
    std::snprintf(text, sizeof(text),
                  "byte %llu of buffer '%.64s' (%llu bytes)",
                  (unsigned long long)offset, buffer->name.c_str(),
                  (unsigned long long)buffer->size);
  else
    std::snprintf(text, sizeof(text),
                  "%llu bytes past the end of buffer '%.64s' (%llu bytes)",
                  (unsigned long long)(offset - buffer->size),
                  buffer->name.c_str(), (unsigned long long)buffer->size);
  return text;
}

//===----------------------------------------------------------------------===//
// Device
//===----------------------------------------------------------------------===//

Device::Device() : body(std::make_unique<Impl>()) {}
Device::~Device() = default;

uint64_t Device::allocate(std::string_view name, size_t bytes,
                          Contents contents) {
  if (body->buffers.named(name))
    return 0;
  uint64_t address = body->nextAddress;
  body->nextAddress += (bytes + kGuardBytes + 255) / 256 * 256;
  body->buffers.add(name, address, bytes, contents);
  return address;
}

bool Device::release(uint64_t address) { return body->buffers.remove(address); }

uint64_t Device::address(std::string_view name) const {
  Buffer *buffer = body->buffers.named(name);
  return buffer ? buffer->address : 0;
}

std::span<std::byte> Device::bytes(uint64_t address) {
  Buffer *buffer = body->buffers.below(address);
  if (!buffer || buffer->address != address)
    return {};
  return {buffer->data.get(), buffer->size};
}

bool Device::write(uint64_t address, const void *source, size_t size) {
  Buffer *buffer = body->buffers.containing(address, size);
  if (!buffer)
    return false;
  uint64_t offset = address - buffer->address;
  if (size)
    std::memcpy(buffer->data.get() + offset, source, size);
  if (buffer->unread)
    std::memset(buffer->unread.get() + offset, 0, size);
  return true;
}

bool Device::read(uint64_t address, void *destination, size_t size) const {
  Buffer *buffer = body->buffers.containing(address, size);
  if (!buffer)
    return false;
  if (size)
    std::memcpy(destination, buffer->data.get() + (address - buffer->address),
                size);
  return true;
}

bool Device::poison(uint64_t address, size_t size) {
  Buffer *buffer = body->buffers.containing(address, size);
  if (!buffer)
    return false;
  if (!buffer->unread)
    buffer->unread = std::make_unique<uint8_t[]>(buffer->size);
  std::memset(buffer->unread.get() + (address - buffer->address), 1, size);
  return true;
}

size_t Device::uninitialisedBytes(uint64_t address, size_t size) const {
  Buffer *buffer = body->buffers.containing(address, size);
  if (!buffer || !buffer->unread)
    return 0;
  const uint8_t *first = buffer->unread.get() + (address - buffer->address);
  return size_t(std::count_if(first, first + size,
                              [](uint8_t flag) { return flag != 0; }));
}

//===----------------------------------------------------------------------===//
// ArgumentBuffer
//===----------------------------------------------------------------------===//

ArgumentBuffer::ArgumentBuffer(const KernelInfo &kernel)
    : params(kernel.params), storage(kernel.paramBytes) {}

bool ArgumentBuffer::setBytes(unsigned index, const void *data, size_t size) {
  if (index >= params.size() || params[index].size != size)
    return false;
  std::memcpy(storage.data() + params[index].offset, data, size);
  return true;
}
