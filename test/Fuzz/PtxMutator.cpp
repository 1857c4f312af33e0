//===- PtxMutator.cpp - Seeded mutations of PTX ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxMutator.h"

#include <algorithm>
#include <cctype>

using namespace flash::fuzz;

namespace {

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos)
      break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

/// The end of the item that starts at `at`: behind the closing brace of a body
/// or behind the semicolon of a declaration, or the end of the line of a
/// directive without either (.version, .target).
size_t itemEnd(std::string_view text, size_t at) {
  size_t line = text.find('\n', at);
  std::string_view head = text.substr(at, line - at);
  for (std::string_view word : {".version", ".target", ".address_size", "//"})
    if (head.starts_with(word))
      return line == std::string_view::npos ? text.size() : line + 1;
  int depth = 0;
  for (size_t i = at; i < text.size(); ++i) {
    depth += text[i] == '{';
    if (text[i] == '}' && --depth == 0) {
      // An initialiser goes on to its semicolon.
      size_t next = text.find_first_not_of(" \t\r\n", i + 1);
      return next != std::string_view::npos && text[next] == ';' ? next + 1
                                                                 : i + 1;
    }
    if (text[i] == ';' && depth == 0)
      return i + 1;
  }
  return text.size();
}

/// The instruction of a line: [first, last) of its opcode, nothing if the line
/// has none.
bool findOpcode(const std::string &line, size_t &first, size_t &last) {
  first = line.find_first_not_of(" \t{");
  if (first == std::string::npos)
    return false;
  if (line[first] == '@') {
    first = line.find_first_of(" \t", first);
    first = first == std::string::npos ? first
                                       : line.find_first_not_of(" \t", first);
    if (first == std::string::npos)
      return false;
  }
  if (!std::islower(static_cast<unsigned char>(line[first])))
    return false;
  last = line.find_first_of(" \t;", first);
  if (last == std::string::npos)
    last = line.size();
  return true;
}

struct Span {
  size_t first, last;
};

std::vector<Span> operandsOf(const std::string &line) {
  std::vector<Span> spans;
  size_t first, last;
  if (!findOpcode(line, first, last))
    return spans;
  size_t stop = std::min(line.find(';', last), line.size());
  while (last < stop) {
    first = line.find_first_not_of(" \t,{}", last);
    if (first == std::string::npos || first >= stop)
      break;
    last = std::min(line.find_first_of(",{};", first), stop);
    spans.push_back({first, last});
  }
  return spans;
}

/// Edges of ranges, and numbers that shapes and offsets are made of.
constexpr std::string_view kNumbers[] = {"0",
                                         "1",
                                         "-1",
                                         "2",
                                         "3",
                                         "7",
                                         "8",
                                         "15",
                                         "16",
                                         "31",
                                         "32",
                                         "33",
                                         "64",
                                         "127",
                                         "128",
                                         "255",
                                         "256",
                                         "1024",
                                         "4096",
                                         "65535",
                                         "65536",
                                         "1048576",
                                         "2147483647",
                                         "2147483648",
                                         "4294967295",
                                         "4294967296",
                                         "9223372036854775807",
                                         "18446744073709551615",
                                         "0f7F800000",
                                         "0f7FC00000",
                                         "0d7FF0000000000000",
                                         "0x4000004000010000"};

/// One of `from`, or `otherwise` where the inputs held none.
std::string pickOr(const std::vector<std::string> &from, const char *otherwise,
                   Random &random) {
  return from.empty() ? otherwise : random.pick(from);
}

bool replaceModifier(std::string &line, const PtxCorpus &corpus,
                     Random &random) {
  size_t first, last;
  if (!findOpcode(line, first, last))
    return false;
  std::vector<Span> parts;
  for (size_t at = first; at < last;) {
    size_t dot = std::min(line.find('.', at), last);
    parts.push_back({at, dot});
    at = dot + 1;
  }
  Span part = random.pick(parts);
  switch (random.below(4)) {
  case 0: // Left out, with its dot.
    if (part.first == first)
      return false;
    line.erase(part.first - 1, part.last - part.first + 1);
    return true;
  case 1: // One more.
    line.insert(part.last, "." + pickOr(corpus.modifiers, "b32", random));
    return true;
  default:
    line.replace(part.first, part.last - part.first,
                 pickOr(corpus.modifiers, "b32", random));
    return true;
  }
}

bool replaceOperand(std::string &line, const PtxCorpus &corpus,
                    Random &random) {
  std::vector<Span> spans = operandsOf(line);
  if (spans.empty())
    return false;
  Span span = random.pick(spans);
  std::string text;
  switch (random.below(4)) {
  case 0:
    text = random.pick(kNumbers);
    break;
  case 1: { // Another operand of this instruction.
    Span other = random.pick(spans);
    text = line.substr(other.first, other.last - other.first);
    break;
  }
  case 2:
    text = pickOr(corpus.operands, "0", random);
    break;
  default: // The register next to it.
    text = line.substr(span.first, span.last - span.first);
    for (size_t i = text.size(); i-- > 0;)
      if (std::isdigit(static_cast<unsigned char>(text[i]))) {
        text[i] = char('0' + random.below(10));
        break;
      }
  }
  line.replace(span.first, span.last - span.first, text);
  return true;
}

bool replaceNumber(std::string &line, Random &random) {
  std::vector<Span> numbers;
  for (size_t i = 0; i < line.size();) {
    if (!std::isdigit(static_cast<unsigned char>(line[i]))) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < line.size() &&
           std::isxdigit(static_cast<unsigned char>(line[end])))
      ++end;
    numbers.push_back({i, end});
    i = end + 1;
  }
  if (numbers.empty())
    return false;
  Span number = random.pick(numbers);
  line.replace(number.first, number.last - number.first, random.pick(kNumbers));
  return true;
}

} // namespace

void PtxCorpus::add(std::string_view module) {
  std::string around;
  std::vector<std::string_view> entries;
  for (size_t at = 0; at < module.size();) {
    at = module.find_first_not_of(" \t\r\n", at);
    if (at == std::string_view::npos)
      break;
    size_t end = itemEnd(module, at);
    std::string_view item = module.substr(at, end - at);
    if (item.substr(0, item.find('(')).find(".entry") != std::string_view::npos)
      entries.push_back(item);
    else
      around += std::string(item) + "\n";
    at = end;
  }
  for (std::string_view entry : entries)
    kernels.push_back(around + std::string(entry) + "\n");
  for (const std::string &line : split(module)) {
    size_t first, last;
    if (!findOpcode(line, first, last))
      continue;
    lines.push_back(line);
    std::string opcode = line.substr(first, last - first);
    for (size_t at = opcode.find('.'); at != std::string::npos;) {
      size_t next = opcode.find('.', at + 1);
      modifiers.push_back(opcode.substr(at + 1, next - at - 1));
      at = next;
    }
    for (Span span : operandsOf(line))
      operands.push_back(line.substr(span.first, span.last - span.first));
  }
}

void PtxCorpus::finish() {
  for (std::vector<std::string> *list : {&lines, &modifiers, &operands}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
}

std::string flash::fuzz::mutatePtx(std::string_view kernel,
                                   const PtxCorpus &corpus, Random &random) {
  std::vector<std::string> lines = split(kernel);
  size_t edits = 1 + random.below(1 + random.below(4));
  for (size_t i = 0; i < edits && !lines.empty(); ++i) {
    size_t at = random.below(lines.size());
    // Most edits want an instruction: look for one from here on.
    size_t first, last;
    for (size_t k = 0; k < lines.size() && !findOpcode(lines[at], first, last);
         ++k)
      at = (at + 1) % lines.size();
    std::string &line = lines[at];
    switch (random.below(12)) {
    case 0:
    case 1:
      replaceModifier(line, corpus, random);
      break;
    case 2:
    case 3:
    case 4:
      replaceOperand(line, corpus, random);
      break;
    case 5:
      // Any line: declarations, directives and initialisers too.
      replaceNumber(lines[random.below(lines.size())], random);
      break;
    case 6:
      lines.erase(lines.begin() + std::ptrdiff_t(at));
      break;
    case 7:
      lines.insert(lines.begin() + std::ptrdiff_t(at), std::string(line));
      break;
    case 8:
      std::swap(line, lines[random.below(lines.size())]);
      break;
    case 9:
      lines.insert(lines.begin() + std::ptrdiff_t(at),
                   pickOr(corpus.lines, "ret;", random));
      break;
    case 10: // A guard added, inverted or dropped.
      if (line.find("@!") != std::string::npos)
        line.erase(line.find("@!") + 1, 1);
      else if (line.find('@') != std::string::npos)
        line.insert(line.find('@') + 1, "!");
      else
        line.insert(0, "@%p1 ");
      break;
    default: { // Bytes, anywhere.
      std::string &any = lines[random.below(lines.size())];
      if (any.empty())
        break;
      if (random.oneIn(2))
        any[random.below(any.size())] = char(random.below(256));
      else
        any.resize(random.below(any.size() + 1));
    }
    }
  }
  std::string result;
  for (const std::string &line : lines)
    result += line + "\n";
  return result;
}
