#include "retort/bundle/bundle_writer.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "retort/bundle/bundle_features.h"
#include "retort/bundle/bundle_format.h"
#include "retort/bundle/bundle_teacher.h"
#include "retort/bundle/model_weights.h"
#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"
#include "retort/dataset/assembler.h"
#include "retort/index/exact_index.h"
#include "retort/index/item_index.h"
#include "retort/metric/catalogue.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 4096;       // rows assembled and encoded at once
constexpr int64_t kRecallUsers = 200;  // sample for the recall of the index
constexpr int32_t kRecallAt = 100;
constexpr double kGoodRecall = 0.95;
constexpr int64_t kSmokeQueries = 8;
constexpr int32_t kSmokeItems = 10;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void check_contents(const BundleContents& contents) {
  check(contents.dataset != nullptr && contents.towers != nullptr,
        "publish_bundle: no dataset or no towers");
  check(contents.towers->dim() == contents.spec.dim(),
        "publish_bundle: towers of width {}, spec of {}", contents.towers->dim(),
        contents.spec.dim());
  if (contents.dataset->users() == 0 || contents.dataset->items() == 0)
    fail<DataError>("{}: a dataset of {} users and {} items cannot be published",
                    contents.dataset->folder().string(), contents.dataset->users(),
                    contents.dataset->items());
}

/// Every weight the spec names is there and of its shape, F32 but for tables.
void check_weights(const ModelSpec& spec, const fs::path& path) {
  const SafetensorsFile weights(path);
  for (const TowerSpec* tower : {&spec.user, &spec.item}) {
    for (const FieldSpec& field : table_fields(*tower)) stored_table(weights, field);
    for (const WeightShape& weight : layer_weights(*tower))
      weights.floats(weight.name, weight.shape);
  }
}

/// Clicks of each item that its popularity is made of: the training clicks, or with an alive window
/// those in it.
std::vector<int64_t> popularity_clicks(const Dataset& dataset, int64_t moment) {
  if (dataset.protocol().alive_window > 0) return alive_clicks(dataset, moment);
  return {dataset.train_clicks().begin(), dataset.train_clicks().end()};
}

/// One publication: the parts of the folder, in the order of their methods.
class Writer {
 public:
  Writer(const BundleContents& contents, const fs::path& folder)
      : contents_(contents),
        dataset_(*contents.dataset),
        moment_(contents.moment.value_or(dataset_.end_time())),
        dim_(contents.spec.dim() + (contents.spec.beta != 0 ? 1 : 0)),
        folder_(folder),
        assembler_(dataset_) {}

  void write_model() const {
    check_weights(contents_.spec, contents_.weights);
    store_tables(contents_.spec, contents_.weights, folder_ / kWeightsFile, contents_.embeddings);
    write_json(kModelFile, {{"model", contents_.model},
                            {"spec", to_json(contents_.spec)},
                            {"recipe", contents_.recipe}});
    write_json(kSchemaFile, to_json(dataset_.schema()));
  }

  void write_ranking_model() const {
    if (contents_.teacher)
      write_teacher(*contents_.teacher, contents_.teacher_weights, contents_.embeddings, dataset_,
                    assembler_, moment_, folder_);
  }

  void write_items() {
    const int64_t items = dataset_.items();
    std::vector<float> extra;
    if (dim_ > contents_.spec.dim()) extra = popularity();
    vectors_.resize(static_cast<size_t>(items * dim_));
    Progress progress("item vectors", items, "items");
    std::vector<float> block;
    for (int64_t begin = 0; begin < items; begin += kBlock) {
      const int64_t rows = std::min(kBlock, items - begin);
      SideBatch batch;
      assembler_.items(moments<ItemMoment>(begin, rows), batch);
      block.resize(static_cast<size_t>(rows * contents_.spec.dim()));
      contents_.towers->encode_items(batch, block);
      for (int64_t row = 0; row < rows; ++row) {
        float* vector = vectors_.data() + (begin + row) * dim_;
        std::copy_n(block.data() + row * contents_.spec.dim(), contents_.spec.dim(), vector);
        if (!extra.empty()) vector[dim_ - 1] = extra[static_cast<size_t>(begin + row)];
      }
      progress.update(begin + rows);
    }
    write_column<float>(folder_, kItemVectors, vectors_);
  }

  void write_users() {
    write_user_features(dataset_, assembler_, moment_, folder_);
    write_seen_items(dataset_, moment_, folder_);
  }

  /// Fills the manifest's tables of vocabularies and attributes.
  void write_tables() {
    write_keys(dataset_, folder_);
    vocabularies_ = write_vocabularies(dataset_, folder_);
    attributes_ = write_attributes(dataset_, folder_);
    has_alive_ = dataset_.protocol().alive_window > 0;
    if (has_alive_) write_alive(dataset_, moment_, folder_);
    has_candidates_ = std::ssize(dataset_.candidates()) < dataset_.items();
    if (has_candidates_) write_candidates(dataset_, folder_);
  }

  void write_index() {
    Json table = contents_.index.is_null() ? Json{{"name", "exact"}} : contents_.index;
    Fields fields(table, "");
    std::string name = "exact";
    fields.read("name", name);
    Json options = fields.sub("options");
    fields.finish();
    if (options.is_null()) options = Json::object();
    const IndexEntry& entry = find_index(name);
    std::unique_ptr<ItemIndex> index = entry.make(options);
    index->build(vectors_, dim_);
    const std::vector<float> queries = sample_queries();
    recall_ = recall_against_exact(*index, vectors_, queries, dim_, kRecallAt);
    if (name == "hnsw" && recall_ < kGoodRecall && !options.contains("equal_norms"))
      try_equal_norms(entry, queries, options, index);
    if (name != "exact") index->save(folder_ / kIndexFile);
    const int64_t sampled = std::ssize(queries) / dim_;
    index_ = {{"name", name},
              {"options", options},
              {"recall", {{"k", kRecallAt}, {"users", sampled}, {"value", recall_}}}};
    log_info("publish", "recall@{} of {} against exact search: {:.4f} over {} users", kRecallAt,
             name, recall_, sampled);
    write_smoke_queries(queries);
  }

  Json manifest() const {
    Json manifest{{"format", kBundleFormat},     {"kind", "bundle"},
                  {"model", contents_.model},    {"created", format_moment(now())},
                  {"moment", moment_},           {"dim", dim_},
                  {"beta", contents_.spec.beta}, {"users", dataset_.users()},
                  {"items", dataset_.items()},   {"has_alive", has_alive_}};
    if (contents_.trained_until) manifest["trained_until"] = *contents_.trained_until;
    manifest["has_candidates"] = has_candidates_;
    if (popularity_clicks_) manifest["popularity_clicks"] = *popularity_clicks_;
    manifest["exclude_streams"] = dataset_.protocol().exclude_streams;
    if (contents_.teacher) manifest["teacher"] = contents_.teacher->kind;
    manifest["index"] = index_;
    manifest["vocabularies"] = vocabularies_;
    manifest["attributes"] = attributes_;
    manifest["provenance"] = contents_.provenance;
    return manifest;
  }

  double recall() const { return recall_; }

 private:
  /// beta * log q of each item.
  std::vector<float> popularity() {
    const std::vector<int64_t> counts = popularity_clicks(dataset_, moment_);
    popularity_clicks_ = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    std::vector<float> values = log_share(counts);
    for (float& value : values) value = static_cast<float>(contents_.spec.beta) * value;
    return values;
  }

  void write_json(const char* name, const Json& json) const {
    write_file(folder_ / name, json.dump(1) + '\n');
  }

  template <class Moment>
  std::vector<Moment> moments(int64_t begin, int64_t count) const {
    std::vector<Moment> rows(static_cast<size_t>(count));
    for (int64_t row = 0; row < count; ++row)
      rows[static_cast<size_t>(row)] = {static_cast<int32_t>(begin + row), moment_};
    return rows;
  }

  /// The user of a row of sample_queries.
  int32_t sampled_user(int64_t row) const {
    return static_cast<int32_t>(row * dataset_.users() / std::min(kRecallUsers, dataset_.users()));
  }

  /// Vectors of evenly spaced users, with the popularity dimension's 1.
  std::vector<float> sample_queries() const {
    const int64_t users = std::min(kRecallUsers, dataset_.users());
    std::vector<UserMoment> rows;
    for (int64_t i = 0; i < users; ++i) rows.push_back({sampled_user(i), moment_});
    SideBatch batch;
    assembler_.users(rows, batch);
    const int64_t width = contents_.spec.dim();
    std::vector<float> vectors(static_cast<size_t>(users * width));
    contents_.towers->encode_users(batch, vectors);
    std::vector<float> queries(static_cast<size_t>(users * dim_), 1.0f);
    for (int64_t i = 0; i < users; ++i)
      std::copy_n(vectors.data() + i * width, width, queries.data() + i * dim_);
    return queries;
  }

  /// What a server asks a bundle before it serves it: users and their best items among all, by
  /// exact search with the vectors of the model that was trained.
  void write_smoke_queries(std::span<const float> queries) const {
    const ExactIndex exact(vectors_, dim_);
    Json smoke = Json::array();
    const int64_t sampled = std::ssize(queries) / dim_;
    for (int64_t i = 0; i < std::min(kSmokeQueries, sampled); ++i) {
      const int64_t row = i * sampled / std::min(kSmokeQueries, sampled);
      Json items = Json::array();
      for (const SearchHit& hit :
           exact.search(queries.subspan(static_cast<size_t>(row * dim_), static_cast<size_t>(dim_)),
                        kSmokeItems, {}))
        items.push_back(dataset_.item_keys()[hit.item]);
      smoke.push_back({{"user", dataset_.user_keys()[sampled_user(row)]}, {"items", items}});
    }
    write_json(kSmokeFile, {{"queries", smoke}});
  }

  void try_equal_norms(const IndexEntry& entry, std::span<const float> queries, Json& options,
                       std::unique_ptr<ItemIndex>& index) {
    Json other_options = options;
    other_options["equal_norms"] = true;
    std::unique_ptr<ItemIndex> other = entry.make(other_options);
    other->build(vectors_, dim_);
    const double recall = recall_against_exact(*other, vectors_, queries, dim_, kRecallAt);
    if (recall <= recall_) return;
    recall_ = recall;
    options = other_options;
    index = std::move(other);
  }

  const BundleContents& contents_;
  const Dataset& dataset_;
  int64_t moment_;
  int32_t dim_;  // of the item vectors, popularity included
  fs::path folder_;
  Assembler assembler_;
  std::vector<float> vectors_;
  Json index_, vocabularies_, attributes_;
  bool has_alive_ = false, has_candidates_ = false;
  std::optional<int64_t> popularity_clicks_;  // of all items, with the popularity dimension
  double recall_ = 1;
};

int64_t next_version(const fs::path& bundles) {
  const std::vector<int64_t> versions = bundle_versions(bundles);
  return versions.empty() ? 1 : versions.back() + 1;
}

/// Writes the manifest and gives the folder its number. Where another publisher took the number
/// meanwhile, the files move on to the next one.
PublishResult commit(std::unique_ptr<FolderInMaking> making, Json manifest, const fs::path& bundles,
                     int64_t version) {
  while (true) {
    manifest["version"] = version;
    write_manifest(making->path(), manifest);
    const fs::path target = bundles / std::to_string(version);
    try {
      making->commit();
      PublishResult result;
      result.version = version;
      result.path = target;
      return result;
    } catch (const IoError&) {
      if (!fs::exists(target)) throw;
    }
    while (fs::exists(bundles / std::to_string(version))) ++version;
    auto next = std::make_unique<FolderInMaking>(bundles / std::to_string(version));
    for (const auto& entry : fs::directory_iterator(making->path()))
      fs::rename(entry.path(), next->path() / entry.path().filename());
    making = std::move(next);
  }
}

}  // namespace

Json to_json(const PublishResult& result) {
  return {{"version", result.version},
          {"path", result.path.string()},
          {"users", result.users},
          {"items", result.items},
          {"recall", result.recall}};
}

std::vector<int64_t> bundle_versions(const fs::path& bundles) {
  std::vector<int64_t> versions;
  if (!fs::is_directory(bundles)) return versions;
  for (const auto& entry : fs::directory_iterator(bundles)) {
    const std::string name = entry.path().filename().string();
    int64_t version = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), version);
    if (error == std::errc() && end == name.data() + name.size() && version > 0 &&
        std::to_string(version) == name && entry.is_directory())
      versions.push_back(version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

PublishResult publish_bundle(const BundleContents& contents, const fs::path& bundles) {
  const auto start = std::chrono::steady_clock::now();
  check_contents(contents);
  fs::create_directories(bundles);
  const int64_t version = next_version(bundles);
  auto making = std::make_unique<FolderInMaking>(bundles / std::to_string(version));
  Writer writer(contents, making->path());
  writer.write_model();
  writer.write_ranking_model();
  writer.write_tables();
  writer.write_users();
  writer.write_items();
  writer.write_index();
  PublishResult result = commit(std::move(making), writer.manifest(), bundles, version);
  result.users = contents.dataset->users();
  result.items = contents.dataset->items();
  result.recall = writer.recall();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace retort
