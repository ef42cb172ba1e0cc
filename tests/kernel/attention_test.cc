#include "retort/kernel/attention.h"

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<float> random(size_t size, uint64_t seed) {
  const Rng rng(seed, "attention");
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = static_cast<float>(rng.normal(i));
  return values;
}

class Golden : public testing::Test {
 protected:
  Golden() {
    offsets_ = {0};
    for (const int32_t length : json_["lengths"]) offsets_.push_back(offsets_.back() + length);
    for (const auto& [name, values] : json_["weights"].items())
      weights_[name] = values.get<std::vector<float>>();
    steps_ = json_["steps"].get<std::vector<float>>();
  }
  TransformerLayer layer() const {
    const auto& w = weights_;
    return {{.in_proj = w.at("self_attn.in_proj_weight"),
             .in_bias = w.at("self_attn.in_proj_bias"),
             .out_proj = w.at("self_attn.out_proj.weight"),
             .out_bias = w.at("self_attn.out_proj.bias"),
             .linear1 = w.at("linear1.weight"),
             .bias1 = w.at("linear1.bias"),
             .linear2 = w.at("linear2.weight"),
             .bias2 = w.at("linear2.bias"),
             .norm1 = w.at("norm1.weight"),
             .norm1_bias = w.at("norm1.bias"),
             .norm2 = w.at("norm2.weight"),
             .norm2_bias = w.at("norm2.bias")},
            json_["dim"],
            json_["heads"],
            json_["hidden"]};
  }
  const Json json_ = Json::parse(read_file(RETORT_TESTS "/kernel/golden/transformer.json"));
  std::map<std::string, std::vector<float>> weights_;
  std::vector<int32_t> offsets_;
  std::vector<float> steps_;
};

TEST_F(Golden, TransformerLayerEqualsPyTorchOnRowsOfEveryLength) {
  layer().forward(offsets_, steps_);
  const auto expected = json_["out"].get<std::vector<float>>();
  ASSERT_EQ(steps_.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(steps_[i], expected[i], 1e-5) << i;
}

TEST_F(Golden, ARowDoesNotSeeTheOthers) {
  const TransformerLayer layer = this->layer();
  std::vector<float> alone(steps_.begin() + 6, steps_.begin() + 5 * 6);  // the row of 4 steps
  const std::vector<int32_t> offsets{0, 4};
  layer.forward(offsets, alone);
  layer.forward(offsets_, steps_);
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(alone[i], steps_[6 + i]);
  std::vector<float> none;
  const std::vector<int32_t> empty{0, 0};
  EXPECT_NO_THROW(layer.forward(empty, none));
}

/// One head after the other, one step after the other, in double.
std::vector<double> naive_attention(const std::vector<float>& qkv,
                                    const std::vector<int32_t>& offsets, size_t dim, size_t heads) {
  const size_t width = dim / heads;
  std::vector<double> out(qkv.size() / 3, 0);
  const auto at = [&](size_t step, size_t part, size_t h, size_t d) {
    return static_cast<double>(qkv[step * 3 * dim + part * dim + h * width + d]);
  };
  for (size_t row = 0; row + 1 < offsets.size(); ++row)
    for (auto query = static_cast<size_t>(offsets[row]);
         query < static_cast<size_t>(offsets[row + 1]); ++query)
      for (size_t h = 0; h < heads; ++h) {
        double total = 0;
        std::vector<double> sums(width, 0);
        for (auto key = static_cast<size_t>(offsets[row]);
             key < static_cast<size_t>(offsets[row + 1]); ++key) {
          double score = 0;
          for (size_t d = 0; d < width; ++d) score += at(query, 0, h, d) * at(key, 1, h, d);
          const double weight = std::exp(score / std::sqrt(static_cast<double>(width)));
          total += weight;
          for (size_t d = 0; d < width; ++d) sums[d] += weight * at(key, 2, h, d);
        }
        for (size_t d = 0; d < width; ++d) out[query * dim + h * width + d] = sums[d] / total;
      }
  return out;
}

TEST(SelfAttention, EqualsTheNaiveLoopAboutEveryMultipleOfTheLanes) {
  for (const int32_t length : {1, 15, 16, 17, 100})
    for (const int64_t heads : {1, 2, 5}) {
      const std::vector<int32_t> offsets{0, 3, 3 + length};
      const std::vector<float> qkv = random(static_cast<size_t>(3 + length) * 3 * 40, 7);
      std::vector<float> out(qkv.size() / 3);
      self_attention(qkv, offsets, 40, heads, out);
      const std::vector<double> expected =
          naive_attention(qkv, offsets, 40, static_cast<size_t>(heads));
      for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 2e-6) << i;
    }
}

TEST(SelfAttention, GradientEqualsFiniteDifferencesOfTheNaiveLoop) {
  for (const int32_t length : {1, 4, 17})
    for (const int64_t heads : {1, 2}) {
      const size_t dim = 6;
      const std::vector<int32_t> offsets{1, 3, 3, 3 + length};
      const auto steps = static_cast<size_t>(5 + length);  // the first and last two of no row
      std::vector<float> qkv = random(steps * 3 * dim, 8);
      const std::vector<float> direction = random(steps * dim, 9);
      std::vector<float> got(qkv.size(), 7);
      self_attention_gradient(qkv, offsets, static_cast<int64_t>(dim), heads, direction, got);
      const auto loss = [&] {
        const std::vector<double> out =
            naive_attention(qkv, offsets, dim, static_cast<size_t>(heads));
        return std::inner_product(out.begin(), out.end(), direction.begin(), 0.0);
      };
      for (size_t i = 0; i < qkv.size(); ++i) {
        const size_t step = i / (3 * dim);
        if (step < 1 || step >= static_cast<size_t>(3 + length)) {
          EXPECT_EQ(got[i], 7) << i;
          continue;
        }
        const float at = qkv[i], up = at + 1.0f / 256, down = at - 1.0f / 256;
        qkv[i] = up;
        const double above = loss();
        qkv[i] = down;
        const double below = loss();
        qkv[i] = at;
        EXPECT_NEAR(got[i], (above - below) / (double{up} - double{down}), 2e-5) << i;
      }
    }
}

TEST(SelfAttention, LargeLogitsNeitherOverflowNorVanish) {
  // One value a step: the query 300 gives the logits 90000 and 0, all weight on the first.
  const std::vector<float> qkv{300, 300, 5, 0, 0, -2};
  const std::vector<int32_t> offsets{0, 2};
  std::vector<float> out(2);
  self_attention(qkv, offsets, 1, 1, out);
  EXPECT_FLOAT_EQ(out[0], 5);
  EXPECT_FLOAT_EQ(out[1], 1.5);  // its own query is 0: the mean of both
}

TEST(SelfAttention, RefusesWhatDoesNotFit) {
  const std::vector<float> qkv(2 * 12);
  std::vector<float> out(2 * 4);
  const std::vector<int32_t> good{0, 2}, falling{0, 2, 1, 2}, longer{0, 3};
  EXPECT_NO_THROW(self_attention(qkv, good, 4, 2, out));
  EXPECT_THAT([&] { self_attention(qkv, good, 4, 3, out); },
              ThrowsMessage<ArgumentError>(HasSubstr("3 heads of 4 values")));
  EXPECT_THROW(self_attention(qkv, falling, 4, 2, out), ArgumentError);
  EXPECT_THROW(self_attention(qkv, longer, 4, 2, out), ArgumentError);
  EXPECT_THROW(self_attention(std::span(qkv).first(12), good, 4, 2, out), ArgumentError);
  std::vector<float> gradient(qkv.size());
  EXPECT_NO_THROW(self_attention_gradient(qkv, good, 4, 2, out, gradient));
  EXPECT_THROW(self_attention_gradient(qkv, good, 4, 2, out, out), ArgumentError);
}

TEST(AddLayerNorm, MatchesAHandTable) {
  std::vector<float> x{0, 1, 2, 3, 5, 5, 5, 5};
  const std::vector<float> added{1, 2, 3, 4, 0, 0, 0, 0}, gain{1, 1, 2, 1}, bias{0, 0, 0, 10};
  add_layer_norm(x, added, gain, bias, 1e-12f);
  // 1, 3, 5, 7 have mean 4 and variance 5.
  const double root = std::sqrt(5.0);
  const std::vector<double> expected{-3 / root, -1 / root, 2 / root, 3 / root + 10, 0, 0, 0, 10};
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], expected[i], 1e-6);
  EXPECT_THROW(add_layer_norm(x, std::span(added).first(4), gain, bias), ArgumentError);
  EXPECT_THROW(add_layer_norm(x, added, gain, std::span(bias).first(3)), ArgumentError);
}

}  // namespace
}  // namespace retort
