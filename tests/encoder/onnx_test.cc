// The towers in ONNX Runtime give the vectors of TowerEncoder, for every kind of student.
#include <cmath>

#include "tests/bundle/tiny_ranker.h"
#include "tests/encoder/two_tasks.h"
#include "tests/support/node.h"
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"
#include "retort/dataset/assembler.h"
#include "retort/encoder/onnx_models.h"
#include "retort/encoder/ranked_pairs.h"
#include "retort/encoder/retriever.h"

namespace retort {
namespace {

/// A bundle of 110 users and 130 items with a random student of the spec.
struct Published {
  Published(const std::function<ModelSpec(const Schema&)>& spec_of,
            TableStorage storage = TableStorage::kFp32)
      : tiny(random_tiny_dataset(8, 110, 130, 1500)) {
    BundleContents contents = tiny.contents();
    contents.spec = spec_of(tiny.data.schema);
    contents.weights = tiny.scratch / "student.safetensors";
    contents.embeddings = storage;
    save_weights(contents.spec, random_weights(contents.spec, 3), contents.weights);
    store_tables(contents.spec, contents.weights, tiny.scratch / "stored", storage);
    // The vectors of items are those of the tables as they are stored.
    const TowerEncoder towers(contents.spec,
                              std::make_shared<SafetensorsFile>(tiny.scratch / "stored"));
    contents.towers = &towers;
    publish_bundle(contents, tiny.bundles());
    bundle.emplace(tiny.bundles());
  }
  TinyPublication tiny;
  std::optional<Bundle> bundle;
};

/// The inputs of a side that the signature asks for, of every row of the batch.
Json inputs_of(const Bundle& bundle, Side side, const SideBatch& batch, const Json& signature) {
  const Schema& schema = bundle.schema();
  const std::vector<int> sparse = schema.sparse_of(side);
  Json inputs = Json::object();
  const std::string prefix = side == Side::kUser   ? "user."
                             : side == Side::kItem ? "item."
                                                   : "pair.";
  for (const Json& input : signature["inputs"]) {
    if (!input["name"].get<std::string>().starts_with(prefix)) continue;
    Json& made = inputs[input["name"].get<std::string>()];
    made = {{"dtype", input["dtype"]}, {"shape", {batch.rows}}, {"data", Json::array()}};
    if (input.contains("popularity")) {
      for (int64_t item = 0; item < bundle.items(); ++item)
        made["data"].push_back(
            bundle.item_vectors()[static_cast<size_t>((item + 1) * bundle.vector_dim() - 1)] /
            bundle.spec().beta);
      continue;
    }
    if (!input.contains("feature")) {
      made["shape"].push_back(input["shape"][1]);
      made["data"] = batch.dense;
      continue;
    }
    size_t place = 0;
    while (schema.features[static_cast<size_t>(sparse[place])].name != input["feature"]) ++place;
    const SparseColumn& column = batch.sparse[place];
    if (input["shape"].size() == 1) {
      made["data"] = column.ids;
      continue;
    }
    int32_t longest = 0;
    for (size_t row = 0; row < size_t(batch.rows); ++row)
      longest = std::max(longest, column.offsets[row + 1] - column.offsets[row]);
    longest += 2;  // nobody's rows are without padding
    made["shape"].push_back(longest);
    for (size_t row = 0; row < size_t(batch.rows); ++row)
      for (int32_t step = 0; step < longest; ++step) {
        const int32_t at = column.offsets[row] + step;
        made["data"].push_back(at < column.offsets[row + 1] ? column.ids[size_t(at)]
                                                            : input["padding"].get<int32_t>());
      }
  }
  return inputs;
}

class Onnx : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = node_missing(false); !missing.empty()) GTEST_SKIP() << missing;
  }

  /// A model with its inputs, and what it gave once `run_all` has run.
  struct Asked {
    fs::path model;
    Json inputs, outputs{};
  };

  /// All in one process of Node.
  static void run_all(std::vector<Asked>& asked) {
    std::vector<std::string> arguments;
    for (const Asked& one : asked) {
      const std::string stem = one.model.string();
      write_file(stem + ".in.json", one.inputs.dump());
      arguments.insert(arguments.end(), {stem, stem + ".in.json", stem + ".out.json"});
    }
    const NodeRun ran = run_node("onnx_towers.mjs", arguments);
    ASSERT_EQ(ran.status, 0) << ran.output;
    for (Asked& one : asked) one.outputs = Json::parse(read_file(one.model.string() + ".out.json"));
  }

  static void expect_near(const Json& outputs, const std::string& name,
                          std::span<const float> expected) {
    ASSERT_TRUE(outputs.contains(name)) << name;
    const auto got = outputs[name]["data"].get<std::vector<float>>();
    ASSERT_EQ(got.size(), expected.size());
    float largest = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], expected[i], 1e-4) << name << " at " << i;
      largest = std::max(largest, std::abs(expected[i]));
    }
    EXPECT_GT(largest, 0.05) << "vectors of zeros would be equal too";
  }

  static void expect_same_vectors(const std::vector<std::shared_ptr<Published>>& all) {
    std::vector<Asked> asked;
    for (const auto& published : all) {
      const Bundle& bundle = *published->bundle;
      const fs::path folder = published->tiny.scratch / "onnx";
      const Json signature = export_onnx(bundle, folder);
      EXPECT_EQ(signature, Json::parse(read_file(folder / "signature.json")));
      asked.push_back({folder / "user_tower.onnx",
                       inputs_of(bundle, Side::kUser, users_of(bundle), signature["user_tower"])});
      std::vector<ItemMoment> moments;
      for (int32_t item = 0; item < bundle.items(); ++item)
        moments.push_back({item, bundle.moment()});
      SideBatch items;
      Assembler(published->tiny.dataset).items(moments, items);
      asked.push_back({folder / "item_tower.onnx",
                       inputs_of(bundle, Side::kItem, items, signature["item_tower"])});
    }
    ASSERT_NO_FATAL_FAILURE(run_all(asked));
    for (size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE(i);
      const Bundle& bundle = *all[i]->bundle;
      expect_users(bundle, asked[2 * i].outputs);
      expect_near(asked[2 * i + 1].outputs, "vector", bundle.item_vectors());
    }
  }

 private:
  static SideBatch users_of(const Bundle& bundle) {
    std::vector<int32_t> all;
    for (int32_t user = 0; user < bundle.users(); ++user) all.push_back(user);
    return bundle.user_features(all);
  }

  static void expect_users(const Bundle& bundle, const Json& found) {
    const SideBatch users = users_of(bundle);
    const Retriever retriever(bundle);
    expect_near(found, "vector", retriever.encode(users));
    EXPECT_EQ(found["vector"]["shape"], Json({bundle.users(), bundle.vector_dim()}));
    if (!bundle.spec().user.mixture) return;
    const std::vector<std::string>& tasks = task_names(bundle.spec());
    for (size_t task = 0; task < tasks.size(); ++task) {
      std::vector<double> shares(tasks.size());
      shares[task] = 1;
      expect_near(found, "vector_" + tasks[task], retriever.encode(users, {}, shares));
    }
  }
};

template <class SpecOf>
std::shared_ptr<Published> published(const SpecOf& spec_of,
                                     TableStorage storage = TableStorage::kFp32) {
  return std::make_shared<Published>(spec_of, storage);
}

/// Ranking models of each kind on the features of a bundle with a history for a sequence.
std::vector<RankerSpec> rankers(const Schema& schema) {
  RankerSpec bottom = tiny_ranker(schema);
  RankerSpec single = bottom, mmoe = bottom, cgc = bottom, aligned = bottom;
  single.kind = "single";
  single.tasks = {{"read"}};
  mmoe.kind = "mmoe";
  mmoe.experts = 3;
  mmoe.tower_layers = {4};
  mmoe.tasks = {{"click"}, {"read", 0}, {"like", 1}, {"seconds"}, {"seconds_deviation"}};
  mmoe.seconds_cap = 300;
  cgc.kind = "cgc";
  cgc.levels = 3;
  aligned.kind = "aligned";
  aligned.tasks = {{"click"}, {"dwm"}};
  aligned.mixture = MixtureSpec{3, 2, {6}, {5, 1}, {"click", "dwm"}};
  SequenceSpec history{"teacher.recent", {}, {}, 3, 1, 2, 5};
  for (size_t i = 0; i < aligned.user.fields.size(); ++i) {
    FieldSpec field = aligned.user.fields[i];
    if (!field.feature.starts_with("history")) continue;
    field.table = "teacher.recent." + field.feature;
    field.dim = 4;
    history.fields.push_back(field);
    history.sparse_index.push_back(aligned.user.sparse_index[i]);
  }
  aligned.sequences = {history};
  return {bottom, single, mmoe, cgc, aligned};
}

void append(SideBatch& all, const SideBatch& one) {
  all.sparse.resize(one.sparse.size());
  for (size_t i = 0; i < one.sparse.size(); ++i) {
    SparseColumn& to = all.sparse[i];
    if (to.offsets.empty()) to.offsets.push_back(0);
    to.ids.insert(to.ids.end(), one.sparse[i].ids.begin(), one.sparse[i].ids.end());
    to.offsets.push_back(static_cast<int32_t>(to.ids.size()));
  }
  all.dense.insert(all.dense.end(), one.dense.begin(), one.dense.end());
  ++all.rows;
}

/// A pair each user: with another item.
Batch pairs_of(const Bundle& bundle) {
  Batch batch;
  for (int32_t user = 0; user < bundle.users(); ++user) {
    const int32_t item = user * 7 % static_cast<int32_t>(bundle.items());
    const PairItem pair{std::string(bundle.item_keys()[item]), item};
    append(batch.users, bundle.user_features(std::span(&user, 1)));
    append(batch.items, bundle.teacher()->item_features(std::span(&item, 1)));
    append(batch.pairs, pair_features_of(bundle, user, {}, std::span(&pair, 1), bundle.moment()));
    batch.user_of_row.push_back(user);
  }
  return batch;
}

TEST_F(Onnx, TheTeacherOfEveryKindGivesTheRankersProbabilities) {
  const TinyPublication tiny(random_tiny_dataset(8, 110, 130, 1500));
  const std::vector<RankerSpec> specs = rankers(tiny.data.schema);
  std::vector<Asked> asked;
  std::vector<std::vector<RankedPair>> expected;
  for (const RankerSpec& spec : specs) {
    const Bundle bundle(publish_with_ranker(tiny, {}, spec).path);
    const fs::path folder = tiny.scratch / ("onnx_" + spec.kind);
    const Json signature = export_onnx(bundle, folder)["teacher"];
    const Batch batch = pairs_of(bundle);
    Json inputs = inputs_of(bundle, Side::kUser, batch.users, signature);
    inputs.update(inputs_of(bundle, Side::kItem, batch.items, signature));
    inputs.update(inputs_of(bundle, Side::kPair, batch.pairs, signature));
    asked.push_back({folder / "teacher.onnx", inputs});
    expected.push_back(ranked_pairs(spec, Ranker(spec, bundle.teacher()->weights()).score(batch)));
  }
  ASSERT_NO_FATAL_FAILURE(run_all(asked));
  for (size_t i = 0; i < specs.size(); ++i) {
    SCOPED_TRACE(specs[i].kind);
    EXPECT_EQ(asked[i].outputs.size(), expected[i][0].tasks.size());
    for (const auto& [task, first] : expected[i][0].tasks) {
      std::vector<float> values;
      for (const RankedPair& pair : expected[i])
        values.push_back(static_cast<float>(pair.tasks.at(task)));
      expect_near(asked[i].outputs, "p_" + task, values);
      EXPECT_GT(std::ranges::max(values) - std::ranges::min(values), 0.01) << task;
    }
  }
}

ModelSpec plain(const Schema& schema, double beta) {
  ModelSpec spec = tiny_spec(schema);
  spec.beta = beta;
  return spec;
}

ModelSpec two_tasks(const Schema& schema, double beta) {
  ModelSpec spec = two_task_spec(schema, beta);
  spec.item.input.fields[0].rows = schema.find("item_id")->rows;
  return spec;
}

ModelSpec gated(const Schema& schema, bool users_have_towers, const char* gate) {
  ModelSpec spec = tiny_spec(schema);
  spec.kind = "three_tower";
  spec.user.gate = GateSpec{gate, {"click", "read"}, {4}};
  (users_have_towers ? spec.user : spec.item).towers = {"click", "read"};
  return spec;
}

TEST_F(Onnx, TwoTowersOverFeaturesOfEveryKindAndTablesOfEveryStorage) {
  const auto of = [](double beta) {
    return [beta](const Schema& schema) { return plain(schema, beta); };
  };
  expect_same_vectors({published(of(0)), published(of(0.7)), published(of(0), TableStorage::kBf16),
                       published(of(0), TableStorage::kInt8)});
}

TEST_F(Onnx, TasksBehindATransformerProductsAndExperts) {
  const auto three_tasks = [](const Schema& schema) {  // with neither transformer nor products
    ModelSpec spec = two_tasks(schema, 0);
    spec.user.sequences[0].layers = 0;
    spec.user.mixture->product_dim = 0;
    spec.user.mixture->tasks = {"click", "dwm", "like"};
    set_shares(spec, {0.5, 0.3, 0.2}, "shares");
    return spec;
  };
  expect_same_vectors({published([](const Schema& schema) { return two_tasks(schema, 0); }),
                       published([](const Schema& schema) { return two_tasks(schema, 0.7); }),
                       published(three_tasks)});
}

TEST_F(Onnx, TowersOfTasksMixedByAGateOnEitherSide) {
  std::vector<std::shared_ptr<Published>> all;
  for (const bool users : {true, false})
    for (const char* gate : {"learned", "equal"})
      all.push_back(published([&](const Schema& schema) { return gated(schema, users, gate); }));
  expect_same_vectors(all);
}

TEST(OnnxExport, SaysWhatTheInputsAre) {
  const Published published([](const Schema& schema) { return plain(schema, 0.7); });
  const ScratchFolder folder;
  const Json signature = export_onnx(*published.bundle, folder / "onnx");
  const auto input = [&](const char* tower, const char* name) {
    for (const Json& one : signature[tower]["inputs"])
      if (one["name"] == name) return one;
    return Json();
  };
  EXPECT_EQ(input("user_tower", "user.user_id")["shape"], Json({"batch"}));
  const Json history = input("user_tower", "user.history");
  EXPECT_EQ(history["dtype"], "int64");
  EXPECT_EQ(history["shape"], Json({"batch", "history.steps"}));
  EXPECT_EQ(history["padding"], -1);
  EXPECT_EQ(history["longest"], published.bundle->schema().find("history")->last);
  EXPECT_EQ(input("item_tower", "item.log_q")["popularity"], true);
  EXPECT_EQ(signature["user_tower"]["outputs"][0]["shape"], Json({"batch", 6}));
  const Json& vocabulary = signature["vocabularies"][history["vocabulary"].get<std::string>()];
  const Json texts =
      Json::parse(read_file(folder / "onnx" / vocabulary["file"].get<std::string>()));
  EXPECT_EQ(texts.size(), 131U);
  EXPECT_EQ(texts[0], "");
  EXPECT_EQ(texts[17], "i16");
  const Json dense = input("item_tower", "item.dense");
  EXPECT_EQ(dense["shape"], Json({"batch", published.bundle->schema().dense_width(Side::kItem)}));
}

}  // namespace
}  // namespace retort
