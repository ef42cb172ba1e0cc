#include "retort/model/task_forest.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"
#include "retort/log/events.h"

namespace retort {
namespace {

constexpr const char* kShown = "shown";

/// A task as the recipe has it, its parent by name.
struct Declared {
  Task task;
  std::string parent = kShown;
};

Declared read_task(const Json& tasks, const std::string& name) {
  if (!is_label_name(name) || name == kShown)
    fail<ConfigError>(
        "recipe key 'tasks.{}': a task's name is a small letter and then small letters, digits and "
        "_, and not 'shown'",
        name);
  Declared declared;
  declared.task.name = declared.task.label = name;
  const Json recipe{{"tasks", tasks}};
  Fields fields(recipe, "tasks." + name);
  fields.read("label", declared.task.label);
  fields.read("parent", declared.parent);
  fields.read("weight", declared.task.weight);
  fields.finish();
  if (!(declared.task.weight >= 0) || !std::isfinite(declared.task.weight))
    fail<ConfigError>("{}: 0 or more is expected, not {}", fields.name("weight"),
                      declared.task.weight);
  if ((name == "click" || name == "read") && declared.task.label != name)
    fail<ConfigError>("{} = '{}': a task of this name has the label '{}'; choose another name",
                      fields.name("label"), declared.task.label, name);
  return declared;
}

void check_parent(const Declared& child, const std::vector<Declared>& all) {
  std::vector<std::string> known{kShown};
  for (const Declared& other : all) known.push_back(other.task.name);
  if (std::ranges::find(known, child.parent) != known.end()) return;
  const std::string near = nearest_name(child.parent, known);
  fail<ConfigError>("recipe key 'tasks.{}.parent': '{}' is no task{}; there are {}",
                    child.task.name, child.parent,
                    near.empty() ? "" : ", did you mean '" + near + "'?", fmt::join(known, ", "));
}

/// Of tasks that are all below one another: the way from the first back to itself.
std::string cycle_of(const std::vector<Declared>& left) {
  const auto parent_of = [&](const Declared& task) {
    return *std::ranges::find(left, task.parent,
                              [](const Declared& other) { return other.task.name; });
  };
  Declared at = left.front();
  for (size_t i = 0; i < left.size(); ++i) at = parent_of(at);  // now on the cycle
  const std::string first = at.task.name;
  std::string way = first;
  do {
    at = parent_of(at);
    way += " -> " + at.task.name;
  } while (at.task.name != first);
  return way;
}

}  // namespace

TaskForest TaskForest::paper() {
  return {{{"click", "click", -1, 0}, {"read", "read", 0, 0}}, false};
}

TaskForest TaskForest::read(const Json& tasks) {
  if (tasks.is_null()) return paper();
  if (!tasks.is_object() || tasks.empty())
    fail<ConfigError>(
        "recipe key 'tasks': tables are expected, such as [tasks.click] and [tasks.read]");
  std::vector<Declared> left;
  for (const auto& [name, table] : tasks.items()) left.push_back(read_task(tasks, name));
  for (const Declared& task : left) check_parent(task, left);
  TaskForest forest;
  forest.declared = true;
  while (!left.empty()) {
    const auto ready = std::ranges::find_if(left, [&](const Declared& task) {
      return task.parent == kShown || forest.find(task.parent) >= 0;
    });
    if (ready == left.end())
      fail<ConfigError>(
          "recipe key 'tasks': {} is a cycle (a task, its parent, ..); a root has "
          "parent = \"shown\"",
          cycle_of(left));
    ready->task.parent = forest.find(ready->parent);
    forest.tasks.push_back(ready->task);
    left.erase(ready);
  }
  return forest;
}

void TaskForest::add_seconds(double cap) {
  if (!(cap > 1) || !std::isfinite(cap))
    fail<ConfigError>("recipe key 'teacher.seconds_cap': more than 1 second is expected, not {}",
                      cap);
  if (find("click") < 0)
    fail<ConfigError>("recipe key 'teacher.seconds_cap': seconds are of clicks; add [tasks.click]");
  for (const char* name : {kSecondsHead, kDeviationHead, kValueOutput})
    if (find(name) >= 0)
      fail<ConfigError>(
          "recipe key 'tasks.{}': with teacher.seconds_cap this is what the teacher calls its own; "
          "choose another name",
          name);
  tasks.push_back({kSecondsHead, "", -1, 0});
  tasks.push_back({kDeviationHead, "", -1, 0});
  seconds_cap = cap;
}

int TaskForest::find(const std::string& name) const {
  const auto at = std::ranges::find(tasks, name, &Task::name);
  return at == tasks.end() ? -1 : static_cast<int>(at - tasks.begin());
}

const Task& TaskForest::root_of(int place) const {
  const Task* task = &tasks.at(static_cast<size_t>(place));
  while (task->parent >= 0) task = &tasks[static_cast<size_t>(task->parent)];
  return *task;
}

std::vector<std::string> TaskForest::names() const {
  std::vector<std::string> names;
  for (const Task& task : tasks) names.push_back(task.name);
  return names;
}

Json teacher_table(const Json& recipe) {
  Json teacher = recipe.value("teacher", Json());
  const Json tasks = recipe.value("tasks", Json());
  if (teacher.is_object() && !tasks.is_null()) teacher["tasks"] = tasks;
  return teacher;
}

std::string given_name(const TaskForest& forest, const Task& task) {
  return task.name + "_given_" + forest.tasks[static_cast<size_t>(task.parent)].name;
}

std::vector<std::string> output_names(const TaskForest& forest) {
  std::vector<std::string> names = forest.names();
  for (const Task& task : forest.tasks)
    if (task.parent >= 0) names.push_back(given_name(forest, task));
  if (forest.seconds_cap > 0) names.emplace_back(kValueOutput);
  return names;
}

}  // namespace retort
