#include "retort/index/filter.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

enum class TokenKind { kEnd, kName, kText, kNumber, kSign };
struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // name, text or number without quotes; the sign itself
  size_t position = 0;
};

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view input) : input_(input) {}

  Token next() {
    while (at_ < input_.size() && (input_[at_] == ' ' || input_[at_] == '\t' ||
                                   input_[at_] == '\n' || input_[at_] == '\r'))
      ++at_;
    const size_t start = at_;
    if (start == input_.size()) return {TokenKind::kEnd, "", start};
    const char c = input_[start];
    if (c == '\'' || c == '"') return {TokenKind::kText, quoted(c), start};
    if (c == '`') return {TokenKind::kName, quoted(c), start};
    if (is_letter(c)) return {TokenKind::kName, run(false), start};
    if (is_digit(c) || c == '-' || c == '+' || c == '.') {
      std::string text = run(true);
      const std::string_view digits = c == '+' ? std::string_view(text).substr(1) : text;
      if (!to_number(digits)) refuse(start, fmt::format("'{}' is not a number", text));
      return {TokenKind::kNumber, std::string(digits), start};
    }
    for (const std::string_view sign : {"==", "!=", "<>", "<=", ">="})
      if (input_.substr(start, 2) == sign) {
        at_ += 2;
        return {TokenKind::kSign, std::string(sign), start};
      }
    if (std::string_view("=<>(),").find(c) == std::string_view::npos)
      refuse(start, fmt::format("unexpected '{}'", c));
    ++at_;
    return {TokenKind::kSign, std::string(1, c), start};
  }

  [[noreturn]] void refuse(size_t position, const std::string& why) const {
    fail<ConfigError>("filter: {} at position {} of: {}", why, position + 1, input_);
  }

 private:
  /// Letters, digits, _ and . ; with `number` also signs, for "-1.5e+3".
  std::string run(bool number) {
    const size_t start = at_;
    while (at_ < input_.size() &&
           (is_letter(input_[at_]) || is_digit(input_[at_]) || input_[at_] == '.' ||
            (number && (input_[at_] == '-' || input_[at_] == '+'))))
      ++at_;
    return std::string(input_.substr(start, at_ - start));
  }
  std::string quoted(char quote) {
    const size_t start = at_++;
    std::string text;
    for (; at_ < input_.size(); ++at_) {
      if (input_[at_] == quote) {
        ++at_;
        if (at_ == input_.size() || input_[at_] != quote) return text;
      }
      text += input_[at_];
    }
    refuse(start, fmt::format("no closing {}", quote));
  }

  std::string_view input_;
  size_t at_ = 0;
};

using Bits = std::vector<uint64_t>;

/// Recursive descent that computes the set of items of each part as it reads it.
class Parser {
 public:
  Parser(std::string_view condition, const ItemAttributes& attributes)
      : lexer_(condition), attributes_(attributes) {
    token_ = lexer_.next();
  }

  ItemFilter parse() {
    Bits bits = any();
    if (token_.kind != TokenKind::kEnd) expected("'and', 'or' or the end");
    return {std::move(bits)};
  }

 private:
  static constexpr int kDeepest = 100;

  Bits any() {
    Bits bits = all();
    while (take_word("or")) {
      const Bits other = all();
      for (size_t i = 0; i < bits.size(); ++i) bits[i] |= other[i];
    }
    return bits;
  }

  Bits all() {
    Bits bits = negated();
    while (take_word("and")) {
      const Bits other = negated();
      for (size_t i = 0; i < bits.size(); ++i) bits[i] &= other[i];
    }
    return bits;
  }

  Bits negated() {
    bool negate = false;
    while (take_word("not")) negate = !negate;
    Bits bits = primary();
    return negate ? complement(std::move(bits)) : bits;
  }

  Bits primary() {
    if (!take_sign("(")) return comparison();
    if (++depth_ > kDeepest) lexer_.refuse(token_.position, "parentheses nested too deeply");
    Bits bits = any();
    if (!take_sign(")")) expected("')'");
    --depth_;
    return bits;
  }

  Bits comparison() {
    const auto& column = attribute();
    const bool negate = take_word("not");
    if (take_word("in")) {
      const Bits bits = one_of(column);
      return negate ? complement(bits) : bits;
    }
    if (negate) expected("'in'");
    const std::string sign = token_.text;
    if (token_.kind != TokenKind::kSign || sign == "(" || sign == ")" || sign == ",")
      expected("a comparison (= != < <= > >= in)");
    advance();
    if (sign == "=" || sign == "==") return equal(column, value());
    if (sign == "!=" || sign == "<>") return complement(equal(column, value()));
    return ordered(column, sign, value());
  }

  using Column = std::variant<TextAttribute, NumberAttribute>;

  const Column& attribute() {
    if (token_.kind != TokenKind::kName) expected("an attribute, 'not' or '('");
    const auto found = attributes_.columns().find(token_.text);
    if (found == attributes_.columns().end()) {
      std::vector<std::string> names;
      for (const auto& [name, column] : attributes_.columns()) names.push_back(name);
      const std::string near = nearest_name(token_.text, names);
      lexer_.refuse(
          token_.position,
          fmt::format("unknown attribute '{}'{}", token_.text,
                      !near.empty()   ? "; did you mean '" + near + "'?"
                      : names.empty() ? "; the items have no attributes"
                                      : fmt::format("; there are: {}", fmt::join(names, ", "))));
    }
    advance();
    return found->second;
  }

  Token value() {
    if (token_.kind != TokenKind::kNumber && token_.kind != TokenKind::kText)
      expected("a number or a quoted text");
    Token value = token_;
    advance();
    return value;
  }

  Bits one_of(const Column& column) {
    if (!take_sign("(")) expected("'('");
    Bits bits = ItemFilter::none(attributes_.items()).bits;
    do {
      const Bits other = equal(column, value());
      for (size_t i = 0; i < bits.size(); ++i) bits[i] |= other[i];
    } while (take_sign(","));
    if (!take_sign(")")) expected("',' or ')'");
    return bits;
  }

  Bits equal(const Column& column, const Token& value) const {
    if (const auto* text = std::get_if<TextAttribute>(&column))
      return where_text(*text, [&](std::string_view own) { return own == value.text; });
    const double number = number_of(value);
    return where_number(std::get<NumberAttribute>(column),
                        [&](double own) { return own == number; });
  }

  Bits ordered(const Column& column, const std::string& sign, const Token& value) const {
    const double number = number_of(value);
    const auto holds = [&](double own) {
      return sign == "<"    ? own < number
             : sign == "<=" ? own <= number
             : sign == ">"  ? own > number
                            : own >= number;
    };
    if (const auto* text = std::get_if<TextAttribute>(&column))
      return where_text(*text, [&](std::string_view own) {
        const auto parsed = to_number(own);
        return parsed && holds(*parsed);
      });
    return where_number(std::get<NumberAttribute>(column), holds);
  }

  double number_of(const Token& value) const {
    const auto number = to_number(value.text);
    if (!number)
      lexer_.refuse(value.position, fmt::format("'{}' is compared as a number", value.text));
    return *number;
  }

  Bits where_text(const TextAttribute& column,
                  const std::function<bool(std::string_view)>& holds) const {
    std::vector<bool> passes(static_cast<size_t>(column.values.size()));
    for (size_t code = 0; code < passes.size(); ++code)
      passes[code] = holds(column.values[static_cast<int64_t>(code)]);
    Bits bits = ItemFilter::none(attributes_.items()).bits;
    for (int64_t item = 0; item < attributes_.items(); ++item)
      for (int64_t at = column.offsets[static_cast<size_t>(item)];
           at < column.offsets[static_cast<size_t>(item) + 1]; ++at)
        if (passes[static_cast<size_t>(column.codes[static_cast<size_t>(at)])])
          bits[static_cast<size_t>(item) / 64] |= uint64_t{1} << (item % 64);
    return bits;
  }

  Bits where_number(const NumberAttribute& column, const std::function<bool(double)>& holds) const {
    Bits bits = ItemFilter::none(attributes_.items()).bits;
    for (size_t item = 0; item < column.values.size(); ++item)
      if (holds(column.values[item])) bits[item / 64] |= uint64_t{1} << (item % 64);
    return bits;
  }

  Bits complement(Bits bits) const {
    const ItemFilter every = ItemFilter::all(attributes_.items());
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = ~bits[i] & every.bits[i];
    return bits;
  }

  bool take_word(std::string_view word) {
    if (token_.kind != TokenKind::kName || token_.text.size() != word.size() ||
        !std::equal(word.begin(), word.end(), token_.text.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); }))
      return false;
    advance();
    return true;
  }
  bool take_sign(std::string_view sign) {
    if (token_.kind != TokenKind::kSign || token_.text != sign) return false;
    advance();
    return true;
  }
  void advance() { token_ = lexer_.next(); }
  [[noreturn]] void expected(const std::string& what) const {
    lexer_.refuse(token_.position, token_.kind == TokenKind::kEnd
                                       ? fmt::format("expected {}, found the end", what)
                                       : fmt::format("expected {}, found '{}'", what, token_.text));
  }

  Lexer lexer_;
  const ItemAttributes& attributes_;
  Token token_;
  int depth_ = 0;
};

}  // namespace

void ItemAttributes::add(const std::string& name, TextAttribute attribute) {
  if (std::ssize(attribute.offsets) != items_ + 1 || attribute.offsets.front() != 0 ||
      attribute.offsets.back() != std::ssize(attribute.codes) ||
      !std::is_sorted(attribute.offsets.begin(), attribute.offsets.end()))
    fail<DataError>("item attribute '{}': offsets do not fit {} items and {} values", name, items_,
                    attribute.codes.size());
  for (const int32_t code : attribute.codes)
    if (code < 0 || code >= attribute.values.size())
      fail<DataError>("item attribute '{}': code {} is outside {} values", name, code,
                      attribute.values.size());
  columns_[name] = attribute;
}

void ItemAttributes::add(const std::string& name, NumberAttribute attribute) {
  if (std::ssize(attribute.values) != items_)
    fail<DataError>("item attribute '{}': {} values for {} items", name, attribute.values.size(),
                    items_);
  columns_[name] = attribute;
}

ItemFilter filter_items(std::string_view condition, const ItemAttributes& attributes) {
  return Parser(condition, attributes).parse();
}

}  // namespace retort
