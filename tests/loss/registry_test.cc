#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/loss/losses.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class Action>
std::string config_error(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Losses, EveryEntryIsDescribedAndMakesADifferentiableMean) {
  LossInputs inputs;
  inputs.logits["student"] = torch::tensor({0.2F, -0.4F, 1.F}).set_requires_grad(true);
  inputs.logits["teacher_click"] = torch::tensor({0.5F, 0.1F, -1.F});
  inputs.logits["teacher_read"] = torch::tensor({-0.5F, -1.F, -2.F});
  inputs.labels["click"] = torch::tensor({1.F, 0.F, 1.F});
  inputs.labels["read"] = torch::tensor({1.F, 0.F, 0.F});
  inputs.labels["seconds"] = torch::tensor({70.F, 0.F, 3.F});
  inputs.logits["student_click"] = inputs.logits["student"] * 2;
  inputs.logits["student_dwm"] = inputs.logits["student"] - 1;
  inputs.labels["known"] = torch::ones({3});
  inputs.labels["reward"] = torch::tensor({1.5F, 0.F, 0.5F});
  inputs.catalogue.users["student"] = inputs.logits["student"].unsqueeze(1);
  inputs.catalogue.items = torch::tensor({0.5F, -1.F, 2.F, 0.1F}).unsqueeze(1);
  inputs.catalogue.targets = torch::tensor({2, 0, 3}, torch::kInt64);
  ScoredInputs& scored = inputs.scored;
  scored.list_row = torch::tensor({0, 2}, torch::kInt64);
  scored.list_items = inputs.catalogue.items;
  scored.list_places = torch::tensor({{0, 1}, {3, 2}}, torch::kInt64);
  scored.list_teacher = torch::tensor({{1.F, 0.F}, {2.F, -1.F}});
  scored.list_valid = torch::ones({2, 2}, torch::kBool);
  scored.rest_places = torch::tensor({{2, 3}, {0, 1}}, torch::kInt64);
  scored.rest_valid = torch::ones({2, 2}, torch::kBool);
  scored.rank = torch::tensor({1, 0, 2}, torch::kInt64);
  scored.length = 2;
  scored.catalogue = 4;
  scored.group_row = torch::tensor({0, 1, 2}, torch::kInt64);
  scored.row_items = torch::tensor({0.5F, -1.F, 2.F}).unsqueeze(1);
  scored.pair_group = torch::tensor({0, 2}, torch::kInt64);
  scored.pair_row = torch::tensor({1, 2}, torch::kInt64);
  scored.pair_logits["scored_read"] = torch::tensor({0.3F, -2.F});
  EXPECT_EQ(losses().size(), 17U);
  for (const LossEntry& entry : losses()) {
    EXPECT_FALSE(entry.summary.empty());
    EXPECT_FALSE(entry.source.empty());
    Json term{{"loss", entry.name}, {"weight", 1.0}};
    if (entry.name == "bce") term["label"] = "click";
    if (entry.name == "log_normal") {
      term["on"] = "teacher_seconds";
      inputs.logits["teacher_seconds"] = inputs.logits["student"] + 3;
      inputs.logits["teacher_seconds_deviation"] = inputs.logits["student"] / 2;
    }
    const torch::Tensor value = make_loss(std::string(entry.name), term)(inputs);
    EXPECT_EQ(value.dim(), 0) << entry.name;
    inputs.logits["student"].mutable_grad().reset();
    value.backward({}, true);
    EXPECT_GT(inputs.logits["student"].grad().abs().sum().item<double>(), 0) << entry.name;
  }
}

TEST(Losses, UnknownNamesAndKeysAreNamedWithTheNearest) {
  EXPECT_THAT(
      config_error([] { make_loss("kl_bernouli", {}); }),
      AllOf(HasSubstr("kl_bernouli"), HasSubstr("did you mean 'kl_bernoulli'"), HasSubstr("bce")));
  EXPECT_THAT(config_error([] {
                make_loss("bce", {{"label", "click"}, {"onn", "student"}});
              }),
              AllOf(HasSubstr("terms.onn"), HasSubstr("'on'")));
  EXPECT_THAT(config_error([] {
                make_loss("bce", {{"label", "seconds"}});
              }),
              HasSubstr("terms.label"));
  EXPECT_THAT(config_error([] { make_loss("bce", Json::object()); }), HasSubstr("terms.label"));
  EXPECT_THAT(config_error([] {
                make_loss("squared", {{"transform", "sqrt"}});
              }),
              HasSubstr("terms.transform"));
}

TEST(Losses, AMissingHeadIsNamedWithARemedy) {
  LossInputs inputs;
  inputs.logits["student"] = torch::zeros({2});
  const Loss kl = make_loss("kl_bernoulli", {{"target", "click"}});
  EXPECT_THAT(config_error([&] { kl(inputs); }),
              AllOf(HasSubstr("kl_bernoulli"), HasSubstr("teacher_click"), HasSubstr("[teacher]")));
  inputs.labels["click"] = torch::zeros({3});
  const Loss bce = make_loss("bce", {{"label", "click"}});
  EXPECT_THROW(bce(inputs), ArgumentError);
}

}  // namespace
}  // namespace retort
