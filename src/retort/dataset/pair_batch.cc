#include "retort/dataset/pair_batch.h"

#include <vector>

namespace retort {

void assemble_pairs(const Assembler& assembler, std::span<const PairGroup> groups, Batch& batch) {
  std::vector<UserMoment> users, pair_users;
  std::vector<ItemMoment> items;
  batch.user_of_row.clear();
  batch.user.clear();
  batch.item.clear();
  batch.time.clear();
  batch.source.clear();
  for (const PairGroup& group : groups) {
    for (const int32_t item : group.items) {
      batch.user_of_row.push_back(static_cast<int32_t>(users.size()));
      batch.user.push_back(group.user.user);
      batch.item.push_back(item);
      batch.time.push_back(group.user.time);
      pair_users.push_back(group.user);
      items.push_back({item, group.user.time});
    }
    users.push_back(group.user);
  }
  const size_t rows = batch.item.size();
  batch.click.assign(rows, 0);
  batch.read.assign(rows, 0);
  batch.seconds.assign(rows, 0);
  batch.known.assign(rows, 1);
  batch.labels.clear();
  batch.logged = {};
  assembler.users(users, batch.users);
  assembler.items(items, batch.items);
  assembler.pairs(pair_users, items, batch.pairs);
}

}  // namespace retort
