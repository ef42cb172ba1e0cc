// What publish_bundle writes and Bundle reads, against the dataset and naive towers.
#include "retort/bundle/bundle.h"

#include <fstream>
#include <set>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/dataset/assembler.h"
#include "retort/index/exact_index.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Bundle, HoldsTheFeaturesOfEveryUserAsOfTheMoment) {
  const TinyPublication tiny;
  BundleContents contents = tiny.contents();
  for (const int64_t moment : {tiny.dataset.end_time(), tiny.dataset.sorted_time()[200]}) {
    contents.moment = moment;
    const Bundle bundle(publish_bundle(contents, tiny.bundles()).path);
    EXPECT_EQ(bundle.moment(), moment);
    EXPECT_EQ(bundle.users(), 12);
    std::vector<UserMoment> rows;
    std::vector<int32_t> users;
    for (int32_t user = 11; user >= 0; --user) {
      rows.push_back({user, moment});
      users.push_back(user);
    }
    SideBatch expected;
    Assembler(tiny.dataset).users(rows, expected);
    const SideBatch got = bundle.user_features(users);
    EXPECT_EQ(got.dense, expected.dense);
    ASSERT_EQ(got.sparse.size(), expected.sparse.size());
    for (size_t i = 0; i < got.sparse.size(); ++i) {
      EXPECT_EQ(got.sparse[i].ids, expected.sparse[i].ids);
      EXPECT_EQ(got.sparse[i].offsets, expected.sparse[i].offsets);
    }
  }
}

TEST(Bundle, HoldsTheItemsEachUserSawBeforeTheMoment) {
  const TinyPublication tiny;
  BundleContents contents = tiny.contents();
  contents.moment = tiny.dataset.sorted_time()[200];
  const Bundle bundle(publish_bundle(contents, tiny.bundles()).path);
  for (int32_t user = 0; user < 12; ++user) {
    std::set<int32_t> seen;
    for (const TinyClick& click : tiny.data.clicks)
      if (click.user == user && click.time < *contents.moment) seen.insert(click.item);
    const auto got = bundle.seen_items(user);
    EXPECT_TRUE(std::ranges::equal(got, seen)) << user;
  }
  EXPECT_THROW(bundle.seen_items(12), ArgumentError);
}

TEST(Bundle, HoldsKeysVocabulariesSchemaAndModel) {
  const TinyPublication tiny;
  const Bundle bundle(tiny.publish().path);
  EXPECT_EQ(bundle.find_user("u7"), 7);
  EXPECT_EQ(bundle.find_user("u12"), std::nullopt);
  EXPECT_EQ(bundle.find_item("i19"), 19);
  EXPECT_EQ(bundle.item_keys()[3], "i3");
  EXPECT_EQ(bundle.vocabulary("category").find("music"), 3);
  EXPECT_EQ(bundle.vocabulary("category").find("unheard of"), 0);
  EXPECT_THROW(bundle.vocabulary("categories"), ArgumentError);
  EXPECT_EQ(to_json(bundle.schema()), to_json(tiny.data.schema));
  EXPECT_EQ(to_json(bundle.spec()), to_json(tiny.spec));
  EXPECT_EQ(bundle.model(), "tiny");
  EXPECT_EQ(bundle.version(), 1);
  EXPECT_EQ(bundle.manifest()["provenance"]["run"], "test");
  EXPECT_EQ(bundle.manifest()["index"]["recall"]["value"], 1.0);
}

TEST(Bundle, ItemVectorsAreThoseOfTheTowersAndCarryThePopularity) {
  const TinyPublication tiny(random_tiny_dataset(2), 0.5);
  const Bundle bundle(tiny.publish().path);
  ASSERT_EQ(bundle.vector_dim(), 6);
  std::vector<ItemMoment> rows;
  std::vector<int64_t> clicks(20);
  int64_t total = 20;  // add-one smoothing
  for (int32_t item = 0; item < 20; ++item) rows.push_back({item, tiny.dataset.end_time()});
  for (const TinyClick& click : tiny.data.clicks)
    if (click.split == Split::kTrain) ++clicks[static_cast<size_t>(click.item)], ++total;
  SideBatch batch;
  Assembler(tiny.dataset).items(rows, batch);
  std::vector<float> expected(20 * 5);
  tiny.towers.encode_items(batch, expected);
  for (size_t item = 0; item < 20; ++item) {
    for (size_t d = 0; d < 5; ++d)
      EXPECT_EQ(bundle.item_vectors()[item * 6 + d], expected[item * 5 + d]);
    const double q = static_cast<double>(clicks[item] + 1) / static_cast<double>(total);
    EXPECT_NEAR(bundle.item_vectors()[item * 6 + 5], 0.5 * std::log(q), 1e-5);
  }
}

TEST(Bundle, AttributesAreThoseOfTheDatasetAndItsFeatures) {
  TinyDataset data = random_tiny_dataset(3);
  std::vector<std::string> colour(20);
  for (size_t item = 0; item < 20; ++item)
    colour[item] = item % 3 == 0 ? "" : item % 3 == 1 ? "red" : "7";
  data.attributes["colour"] = colour;
  const TinyPublication tiny(data);
  const Bundle bundle(tiny.publish().path);
  const auto items = [&](const char* condition) {
    std::vector<int32_t> items;
    filter_items(condition, bundle.attributes()).each(0, 20, [&](int32_t i) {
      items.push_back(i);
    });
    return items;
  };
  const auto where = [&](const std::function<bool(size_t)>& holds) {
    std::vector<int32_t> items;
    for (size_t item = 0; item < 20; ++item)
      if (holds(item)) items.push_back(static_cast<int32_t>(item));
    return items;
  };
  EXPECT_EQ(items("colour = 'red'"), where([](size_t item) { return item % 3 == 1; }));
  EXPECT_EQ(items("colour = 7"), where([](size_t item) { return item % 3 == 2; }));
  EXPECT_EQ(items("category = 'sport'"),
            where([&](size_t item) { return data.ids["item.category"][item] == 2; }));
  EXPECT_EQ(items("tags = 't3'"), where([&](size_t item) {
              const auto& offsets = data.offsets["item.tags"];
              const auto& ids = data.ids["item.tags"];
              return std::count(ids.begin() + offsets[item], ids.begin() + offsets[item + 1], 3) >
                     0;
            }));
  EXPECT_FALSE(items("tags = 't3'").empty());
}

TEST(Bundle, ItemsAliveAreThoseClickedInTheWindow) {
  TinyDataset data = random_tiny_dataset(4);
  data.protocol.alive_window = 5'400'000'000;  // an hour and a half
  const TinyPublication tiny(data);
  const Bundle bundle(tiny.publish().path);
  std::set<int32_t> alive;
  const int64_t end = tiny.dataset.end_time();
  for (const TinyClick& click : tiny.data.clicks)
    if (click.time >= end - data.protocol.alive_window) alive.insert(click.item);
  for (int32_t item = 0; item < 20; ++item)
    EXPECT_EQ(bundle.alive().allows(item), alive.contains(item)) << item;
  EXPECT_LT(alive.size(), 20u);
  EXPECT_TRUE(Bundle(TinyPublication().publish().path).alive().bits.empty());
}

TEST(Bundle, CandidatesAreThoseOfTheDataset) {
  TinyDataset data = random_tiny_dataset(4);
  for (int32_t item = 0; item < 20; ++item) data.candidates.push_back(item % 3 == 0 ? 0 : 1);
  const Bundle bundle(TinyPublication(data).publish().path);
  for (int32_t item = 0; item < 20; ++item)
    EXPECT_EQ(bundle.candidates().allows(item), item % 3 != 0) << item;
  EXPECT_TRUE(Bundle(TinyPublication().publish().path).candidates().bits.empty());
}

TEST(Bundle, SeenItemsCountEventsOfExcludedStreams) {
  TinyDataset data = random_tiny_dataset(4);
  int64_t moment = 0;
  std::set<int32_t> seen;
  for (const TinyClick& click : data.clicks) {
    moment = std::max(moment, click.time + 1);
    if (click.user == 2) seen.insert(click.item);
  }
  std::vector<int32_t> fresh;
  for (int32_t item = 0; item < 20; ++item)
    if (!seen.contains(item)) fresh.push_back(item);
  ASSERT_GE(fresh.size(), 3u);
  data.protocol.exclude_streams = {"plays"};
  data.streams["plays"] = {{.user = 2, .item = fresh[0], .time = moment - 1},
                           {.user = 2, .item = fresh[1], .time = moment},
                           {.user = 3, .item = fresh[2], .time = 5}};
  data.streams["likes"] = {{.user = 2, .item = fresh[2], .time = 5}};
  const TinyPublication tiny(data);
  BundleContents contents = tiny.contents();
  contents.moment = moment;
  const Bundle bundle(publish_bundle(contents, tiny.bundles()).path);
  std::set<int32_t> expected = seen;
  expected.insert(fresh[0]);
  EXPECT_TRUE(std::ranges::equal(bundle.seen_items(2), expected));
}

TEST(Bundle, NewestVersionWinsAndOtherNamesAreIgnored) {
  const TinyPublication tiny;
  EXPECT_THAT([&] { Bundle bundle(tiny.bundles()); },
              ThrowsMessage<DataError>(HasSubstr("does not exist")));
  EXPECT_EQ(tiny.publish().version, 1);
  EXPECT_EQ(tiny.publish().version, 2);
  for (const char* name : {"9", "10"})
    fs::copy(tiny.bundles() / "2", tiny.bundles() / name, fs::copy_options::recursive);
  for (const char* name : {"99x", "012", "latest", "-3", ".tmp-1-0-77"})
    fs::create_directories(tiny.bundles() / name);
  write_file(tiny.bundles() / "100", "a file, no folder");
  EXPECT_EQ(Bundle(tiny.bundles()).folder(), tiny.bundles() / "10");
  EXPECT_EQ(Bundle(tiny.bundles() / "1").version(), 1);
  EXPECT_EQ(tiny.publish().version, 11);
  EXPECT_EQ(Bundle(tiny.bundles()).version(), 11);
  EXPECT_THAT([&] { Bundle bundle(tiny.scratch.path()); },
              ThrowsMessage<DataError>(HasSubstr("neither a bundle nor a folder of bundles")));
}

TEST(Bundle, PublishersAtOnceGetNumbersOfTheirOwn) {
  const TinyPublication tiny;
  std::vector<std::thread> threads;
  std::vector<int64_t> versions(4);
  for (size_t i = 0; i < versions.size(); ++i)
    threads.emplace_back([&, i] { versions[i] = tiny.publish().version; });
  for (std::thread& thread : threads) thread.join();
  std::sort(versions.begin(), versions.end());
  EXPECT_THAT(versions, ElementsAre(1, 2, 3, 4));
  for (const int64_t version : versions) {
    const Bundle bundle(tiny.bundles() / std::to_string(version));
    EXPECT_EQ(bundle.version(), version);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(tiny.bundles()), {}), 4);
}

TEST(Bundle, KillingThePublisherLeavesAVersionOrNone) {
  const TinyPublication tiny;
  const double seconds = tiny.publish().seconds;
  int64_t before = 1;
  int absent = 0;
  const int trials = soak(30);
  for (int trial = 0; trial < trials; ++trial) {
    const pid_t child = ::fork();
    if (child == 0) {
      tiny.publish();
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(2e6 * seconds * trial / trials));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::vector<int64_t> versions = bundle_versions(tiny.bundles());
    if (std::ssize(versions) == before) {
      ++absent;
      continue;
    }
    ASSERT_EQ(std::ssize(versions), before + 1);
    EXPECT_EQ(Bundle(tiny.bundles()).version(), versions.back());
    before = std::ssize(versions);
  }
  EXPECT_GT(absent, 0);
  tiny.publish();
  EXPECT_EQ(Bundle(tiny.bundles()).version(), before + 1);
}

/// Without write_file's wait for the disk.
void write_quickly(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(Bundle, EveryFlippedCutMissingOrExtraByteIsRefusedNamingTheFile) {
  const TinyPublication tiny;
  BundleContents contents = tiny.contents();
  contents.index = {{"name", "hnsw"}};
  const fs::path good = publish_bundle(contents, tiny.bundles()).path;
  const fs::path bad = tiny.scratch / "bad";
  fs::copy(good, bad, fs::copy_options::recursive);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(bad)) files.push_back(entry.path().filename());
  std::sort(files.begin(), files.end());
  ASSERT_GT(files.size(), 20u);
  const auto refused = [&](const std::string& name) {
    try {
      const Bundle bundle(bad);
      return false;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(name));
      return true;
    }
  };
  const Rng rng(2, "damage");
  uint64_t draw = 0;
  for (const fs::path& file : files) {
    const fs::path path = bad / file;
    const std::string bytes = read_file(good / file);
    const std::string named = file == "manifest.json.sha256" ? "manifest.json" : file.string();
    for (int flip = 0; flip < soak(5) && !bytes.empty(); ++flip) {
      std::string flipped = bytes;
      const uint64_t place = rng.below(bytes.size(), draw), bit = rng.below(8, draw + 1);
      flipped[place] ^= static_cast<char>(1 << bit);
      draw += 2;
      write_quickly(path, flipped);
      EXPECT_TRUE(refused(named)) << file;
    }
    if (!bytes.empty()) {
      write_quickly(path, bytes.substr(0, bytes.size() - 1));
      EXPECT_TRUE(refused(named)) << "cut: " << file;
    }
    fs::remove(path);
    EXPECT_TRUE(refused(file == "manifest.json" ? "" : file.string())) << "missing: " << file;
    write_quickly(path, bytes);
  }
  write_quickly(bad / "extra.f32", "");
  EXPECT_TRUE(refused("extra.f32"));
  fs::remove(bad / "extra.f32");
  EXPECT_EQ(Bundle(bad).version(), 1);
}

/// Edits a file and its digests, as a publisher with a defect would write it.
void rewrite(const fs::path& bundle, const std::string& file, const std::string& bytes) {
  Json manifest = read_manifest(bundle);
  manifest.erase("files");
  write_file(bundle / file, bytes);
  write_manifest(bundle, manifest);
}

TEST(Bundle, FilesThatDoNotFitEachOtherAreRefusedThoughTheirDigestsAreRight) {
  const TinyPublication tiny;
  const fs::path good = tiny.publish().path;
  const auto error = [&](const std::string& file,
                         const std::function<std::string(std::string)>& edit) -> std::string {
    const fs::path bad = tiny.scratch / "bad";
    fs::remove_all(bad);
    fs::copy(good, bad);
    rewrite(bad, file, edit(read_file(bad / file)));
    try {
      const Bundle bundle(bad);
    } catch (const DataError& error) {
      return error.what();
    }
    return "accepted";
  };
  const auto cut = [](size_t bytes) {
    return [bytes](std::string text) { return text.substr(0, text.size() - bytes); };
  };
  const auto set_first = [](std::string text) {
    text[0] = '\x7f';
    return text;
  };
  EXPECT_THAT(error("items.vectors.f32", cut(4)),
              HasSubstr("'items.vectors' has 99 values where 100"));
  EXPECT_THAT(error("users.dense.f32", cut(4)), HasSubstr("'users.dense'"));
  EXPECT_THAT(error("seen.items.i32", set_first), HasSubstr("'seen.items' holds 127"));
  EXPECT_THAT(error("seen.offsets.i64", set_first), HasSubstr("'seen.offsets' does not rise"));
  EXPECT_THAT(error("users.feature.segment.ids.i32", set_first),
              HasSubstr("holds 127, outside 0 to 3"));
  EXPECT_THAT(error("users.feature.history.offsets.i64", cut(8)),
              HasSubstr("has 12 values where 13"));
  EXPECT_THAT(error("vocabulary.category.offsets.i64", cut(8)), HasSubstr("vocabulary.category"));
  EXPECT_THAT(error("items.attr.tags.codes.i32", set_first), HasSubstr("'tags': code 127"));
  EXPECT_THAT(error("model.json", cut(3)), HasSubstr("model.json: no JSON"));
  EXPECT_THAT(error("weights.safetensors", cut(1)), HasSubstr("weights.safetensors"));
}

TEST(Publish, RefusesWeightsThatDoNotFitTheSpecAndLeavesNothing) {
  TinyPublication tiny;
  BundleContents contents = tiny.contents();
  contents.spec.user.layers = {8, 5};
  EXPECT_THAT([&] { publish_bundle(contents, tiny.bundles()); },
              ThrowsMessage<DataError>(HasSubstr("'user.layer0.weight' has shape [9, ")));
  contents = tiny.contents();
  contents.index = {{"name", "hsnw"}};
  EXPECT_THAT([&] { publish_bundle(contents, tiny.bundles()); },
              ThrowsMessage<ConfigError>(HasSubstr("exact, hnsw")));
  contents.index = {{"name", "hnsw"}, {"options", {{"m", 3}}}};
  EXPECT_THROW(publish_bundle(contents, tiny.bundles()), ConfigError);
  EXPECT_TRUE(fs::is_empty(tiny.bundles()));
}

TEST(Publish, AnHnswIndexComesBackWithItsRecall) {
  const TinyPublication tiny(random_tiny_dataset(5, 30, 400, 3000), 1);
  BundleContents contents = tiny.contents();
  contents.index = {{"name", "hnsw"}, {"options", {{"M", 4}, {"ef_search", 100}}}};
  const PublishResult result = publish_bundle(contents, tiny.bundles());
  EXPECT_GT(result.recall, 0.8);
  EXPECT_LE(result.recall, 1);
  EXPECT_EQ(to_json(result)["version"], 1);
  const Bundle bundle(result.path);
  EXPECT_EQ(bundle.manifest()["index"]["recall"]["value"], result.recall);
  const auto index = bundle.open_index();
  EXPECT_EQ(index->size(), 400);
  const std::vector<float> query{1, -1, 1, 0.5f, 0, 1};
  const ExactIndex exact(bundle.item_vectors(), 6);
  EXPECT_EQ(index->search(query, 1, {})[0].item, exact.search(query, 1, {})[0].item);
}

}  // namespace
}  // namespace retort
