//===- Svg.cpp - Energy over time as a picture ----------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace flash;
using namespace flash::ladder;

namespace {

constexpr int kWidth = 760, kHeight = 480;
constexpr int kLeft = 80, kRight = 24, kTop = 56, kBottom = 56;

/// A logarithmic axis over [low, high] of values on [from, to] of the picture.
struct Axis {
  double low, high, from, to;

  double at(double value) const {
    double part = std::log(value / low) / std::log(high / low);
    return from + part * (to - from);
  }

  /// 1, 2 and 5 times the powers of ten inside.
  std::vector<double> ticks() const {
    std::vector<double> values;
    double start = std::pow(10.0, std::floor(std::log10(low)));
    for (double decade = start; decade <= high; decade *= 10)
      for (double step : {1.0, 2.0, 5.0})
        if (decade * step >= low && decade * step <= high)
          values.push_back(decade * step);
    return values;
  }
};

/// 0.5, 20: without zeros behind.
std::string plain(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

/// Some room around the smallest and the largest value.
Axis axisOver(const std::vector<double> &values, double from, double to) {
  auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low / 1.6, *high * 1.6, from, to};
}

std::string escape(llvm::StringRef text) {
  std::string out;
  for (char c : text)
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else
      out += c;
  return out;
}

/// Labels beside their points, moved down where they would cover another.
class Labels {
public:
  double place(double x, double y) {
    // A line is a little more than what counts as too close: every move is
    // down by at least the difference, so that rounding cannot undo it.
    constexpr double kLine = 14, kTooClose = 13.5;
    for (bool moved = true; moved;) {
      moved = false;
      for (auto [otherX, otherY] : taken)
        if (std::abs(otherX - x) < 130 && std::abs(otherY - y) < kTooClose) {
          y = otherY + kLine;
          moved = true;
        }
    }
    taken.emplace_back(x, y);
    return y;
  }

private:
  std::vector<std::pair<double, double>> taken;
};

void printFrame(const Problem &problem, bool measured, const Axis &x,
                const Axis &y, llvm::raw_ostream &os) {
  os << llvm::formatv("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" "
                      "height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
                      "font-family=\"sans-serif\" font-size=\"12\">\n",
                      kWidth, kHeight);
  // Colours that read on white and on black, no background of its own.
  os << "<style>\n"
        "  text { fill: #6e7781; }\n"
        "  .strong { fill: #888f98; font-weight: bold; }\n"
        "  .grid { stroke: #8c959f; stroke-opacity: 0.3; }\n"
        "  .axis { stroke: #8c959f; }\n"
        "  .front { stroke: #2f81f7; stroke-width: 2; fill: none; }\n"
        "  .on { fill: #2f81f7; }\n"
        "  .off { fill: #d29922; }\n"
        "</style>\n";
  os << llvm::formatv("<text class=\"strong\" x=\"{0}\" y=\"22\" "
                      "font-size=\"14\">Energy over time, level by level "
                      "({1})</text>\n",
                      kLeft, measured ? "measured" : "modelled, not measured");
  os << llvm::formatv("<text x=\"{0}\" y=\"40\">{1}, {2}</text>\n", kLeft,
                      escape(problem.spec.toString()), problem.chip);
  for (double tick : x.ticks()) {
    os << llvm::formatv("<line class=\"grid\" x1=\"{0:f1}\" y1=\"{1:f1}\" "
                        "x2=\"{0:f1}\" y2=\"{2:f1}\"/>\n",
                        x.at(tick), y.from, y.to);
    os << llvm::formatv("<text x=\"{0:f1}\" y=\"{1:f1}\" "
                        "text-anchor=\"middle\">{2}</text>\n",
                        x.at(tick), y.from + 18, plain(tick));
  }
  for (double tick : y.ticks()) {
    os << llvm::formatv("<line class=\"grid\" x1=\"{0:f1}\" y1=\"{1:f1}\" "
                        "x2=\"{2:f1}\" y2=\"{1:f1}\"/>\n",
                        x.from, y.at(tick), x.to);
    os << llvm::formatv("<text x=\"{0:f1}\" y=\"{1:f1}\" "
                        "text-anchor=\"end\">{2}</text>\n",
                        x.from - 8, y.at(tick) + 4, plain(tick));
  }
  os << llvm::formatv("<line class=\"axis\" x1=\"{0}\" y1=\"{1}\" x2=\"{2}\" "
                      "y2=\"{1}\"/>\n",
                      x.from, y.from, x.to);
  os << llvm::formatv("<line class=\"axis\" x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" "
                      "y2=\"{2}\"/>\n",
                      x.from, y.from, y.to);
  os << llvm::formatv("<text x=\"{0}\" y=\"{1}\" text-anchor=\"middle\">time, "
                      "ms (logarithmic)</text>\n",
                      (x.from + x.to) / 2, kHeight - 14);
  os << llvm::formatv("<text transform=\"translate(18 {0}) rotate(-90)\" "
                      "text-anchor=\"middle\">energy{1}, mJ "
                      "(logarithmic)</text>\n",
                      (y.from + y.to) / 2, measured ? " of the board" : "");
}

} // namespace

void flash::ladder::printSvg(const Problem &problem,
                             const std::vector<Level> &levels,
                             llvm::raw_ostream &os) {
  std::vector<const Level *> shown;
  std::vector<double> times, energies;
  for (const Level &level : levels)
    if (level.ran() && energyOf(level) > 0) {
      shown.push_back(&level);
      times.push_back(timeOf(level));
      energies.push_back(energyOf(level));
    }
  if (shown.empty()) {
    times = energies = {1};
  }
  Axis x = axisOver(times, kLeft, kWidth - kRight),
       y = axisOver(energies, kHeight - kBottom, kTop);
  printFrame(problem, isMeasured(levels), x, y, os);
  std::vector<const Level *> front = paretoFront(levels);
  double lastY = 0;
  // The front bounds what some level beats in both: up from its fastest level,
  // in steps, and on to the right of its thriftiest.
  os << "<polyline class=\"front\" points=\"";
  for (const Level *level : front) {
    double px = x.at(timeOf(*level)), py = y.at(energyOf(*level));
    double above = level == front.front() ? y.to : lastY;
    os << llvm::formatv("{0:f1},{1:f1} {0:f1},{2:f1} ", px, above, py);
    lastY = py;
  }
  if (!front.empty())
    os << llvm::formatv("{0:f1},{1:f1}", double(x.to), lastY);
  os << "\"/>\n";
  Labels labels;
  // From the slowest: where levels crowd, later ones make way.
  llvm::sort(shown, [](const Level *a, const Level *b) {
    return energyOf(*a) > energyOf(*b);
  });
  for (const Level *level : shown) {
    double px = x.at(timeOf(*level)), py = y.at(energyOf(*level));
    os << llvm::formatv("<circle class=\"{0}\" cx=\"{1:f1}\" cy=\"{2:f1}\" "
                        "r=\"5\"/>\n",
                        llvm::is_contained(front, level) ? "on" : "off", px,
                        py);
    bool right = px < (x.from + x.to) / 2 + 100;
    os << llvm::formatv("<text x=\"{0:f1}\" y=\"{1:f1}\"{2}>{3} {4}</text>\n",
                        right ? px + 9 : px - 9, labels.place(px, py) + 4,
                        right ? "" : " text-anchor=\"end\"", level->number,
                        level->name);
  }
  os << "</svg>\n";
}
