// Versions swapped in under load, refused, rolled back; bundles disturbed anywhere.
#include <atomic>
#include <thread>

#include "tests/server/running_server.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

using testing::HasSubstr;

void disturb(const fs::path& file, const Rng& rng, uint64_t round) {
  std::string bytes = read_file(file);
  const auto at = bytes.empty() ? 0 : rng.below(bytes.size(), round * 4);
  if (bytes.empty() || round % 3 == 2)
    fs::remove(file);
  else if (round % 3 == 1)
    fs::resize_file(file, at);
  else {
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.below(8, round * 4 + 1)));
    fs::remove(file);
    write_file(file, bytes);
  }
}

TEST(ModelStoreDisturbed, ABundleDisturbedAnywhereIsRefused) {
  const TinyPublication tiny(random_tiny_dataset(3));
  const fs::path good = tiny.publish().path;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(good)) files.push_back(entry.path().filename());
  std::sort(files.begin(), files.end());
  const Rng rng(1, "disturb");
  for (int round = 0; round < soak(100); ++round) {
    const fs::path copy = tiny.scratch / "copy";
    fs::copy(good, copy);
    const auto draw = static_cast<uint64_t>(round);
    disturb(copy / files[rng.below(files.size(), draw * 4 + 2)], rng, draw);
    EXPECT_THROW(ServedModel("m", 1, copy), DataError) << round;
    fs::remove_all(copy);
  }
  EXPECT_NO_THROW(ServedModel("m", 1, good));
}

TEST(ModelStore, RefusesABundleThatAnswersItsSmokeQueriesWrongly) {
  const TinyPublication tiny(random_tiny_dataset(3));
  BundleContents contents = tiny.contents();
  Weights others = tiny.weights;  // users of the opposite taste
  for (const char* name : {"user.layer1.weight", "user.layer1.bias"})
    for (float& weight : others.at(name)) weight = -weight;
  const NaiveTowers towers(tiny.spec, others);
  contents.towers = &towers;
  const fs::path path = publish_bundle(contents, tiny.bundles()).path;
  EXPECT_THAT([&] { ServedModel("m", 1, path); },
              testing::ThrowsMessage<DataError>(HasSubstr("smoke queries")));
}

TEST(ModelStore, ServesTheNewestGoodVersionAndGoesBack) {
  const TinyPublication tiny(random_tiny_dataset(3));
  tiny.publish();
  const RunningServer server(tiny.bundles());
  EXPECT_TRUE(server.serves(1));
  tiny.publish();
  EXPECT_TRUE(server.serves(2));
  fs::copy(tiny.bundles() / "2", tiny.scratch / "3");
  fs::resize_file(tiny.scratch / "3" / "weights.safetensors", 50);
  fs::rename(tiny.scratch / "3", tiny.bundles() / "3");
  for (int i = 0; i < 100; ++i) {
    if (server.ask("GET", "/v1/models").json()["models"][0]["refused"].contains("3")) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const Json model = server.ask("GET", "/v1/models").json()["models"][0];
  EXPECT_THAT(model["refused"]["3"].get<std::string>(), HasSubstr("weights.safetensors"));
  EXPECT_EQ(model["version"], 2);
  EXPECT_THAT(server.ask("GET", "/metrics").body,
              HasSubstr("retort_model_refused_total{model=\"m\"} 1"));

  EXPECT_EQ(server.ask("POST", "/v1/models/m:pin", "{\"version\": 1}").status, 200);
  EXPECT_TRUE(server.serves(1));
  EXPECT_EQ(server.ask("POST", "/v1/models/m:pin", "{\"version\": 3}").status, 422);
  EXPECT_EQ(server.ask("POST", "/v1/models/m:pin", "{\"version\": 17}").status, 422);
  EXPECT_EQ(server.ask("POST", "/v1/models/n:pin", "{\"version\": 1}").status, 404);
  EXPECT_TRUE(server.serves(1));
  EXPECT_EQ(server.ask("POST", "/v1/models/m:pin", "{\"version\": null}").status, 200);
  EXPECT_TRUE(server.serves(2));
  fs::remove_all(tiny.bundles() / "2");  // going back by removing the folder
  EXPECT_TRUE(server.serves(1));
  fs::remove_all(tiny.bundles() / "3");
  fs::rename(tiny.bundles() / "1", tiny.scratch / "1");  // nothing left: what serves goes on
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(server.serves(1));
}

TEST(ModelStore, SwapsDropNoRequest) {
  const TinyPublication tiny(random_tiny_dataset(3));
  const fs::path first = tiny.publish().path;
  const Bundle bundle(first);
  const Json body{{"user", std::string(bundle.user_keys()[0])}, {"k", 5}};
  const RunningServer server(tiny.bundles());
  std::atomic<bool> stop{false};
  std::atomic<int64_t> answered{0}, failed{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      RawClient client(server.port());
      while (!stop) {
        const RawAnswer answer = client.ask("POST", "/v1/retrieve", body.dump());
        ++(answer.status == 200 && answer.json()["items"].size() == 5 ? answered : failed);
      }
    });
  for (int version = 2; version <= 1 + soak(5); ++version) {
    tiny.publish();
    EXPECT_TRUE(server.serves(version));
    if (version > 3) fs::remove_all(tiny.bundles() / std::to_string(version - 2));
  }
  stop = true;
  clients.clear();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(answered, 100);
}

TEST(ModelStore, NamesWhatCannotBeServed) {
  const ScratchFolder scratch;
  EXPECT_THAT(
      [&] {
        ModelStore({{"m", scratch / "none"}}, std::chrono::seconds(1));
      },
      testing::ThrowsMessage<DataError>(HasSubstr("does not exist")));
  const TinyPublication tiny(random_tiny_dataset(3));
  tiny.publish();
  EXPECT_THAT(
      [&] {
        ModelStore({{"m", tiny.bundles()}, {"m", tiny.bundles()}}, std::chrono::seconds(1));
      },
      testing::ThrowsMessage<ConfigError>(HasSubstr("'m' is given twice")));
}

}  // namespace
}  // namespace retort
