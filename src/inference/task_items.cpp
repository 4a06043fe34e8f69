// Shapes of benchmark items, and prompts in the formats of the Language Model Evaluation Harness.
#include "inference/task_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/text.h"
#include "data/json_lines.h"
#include "eval/choices.h"
#include "expunge/error.h"
#include "inference/gsm8k_filters.h"
#include "inference/options.h"
#include "inference/python_text.h"
#include "io/hash.h"

namespace expunge {
namespace {

constexpr std::size_t kMostChoices = 26;  // letters

/// An item before it has examples.
struct Question {
  TaskItem item;
  std::string description, text, target;
};

/// The harness puts and scores empty texts as well, so they are good.
std::vector<std::string> texts(const JsonObject& json, const std::string& key) {
  const nlohmann::json& list = json.at(key);
  const bool good = list.is_array() && list.size() >= 2 && list.size() <= kMostChoices &&
                    std::ranges::all_of(list, [](const auto& text) { return text.is_string(); });
  if (!good) json.wrong(key, fmt::format("a list of 2 to {} texts", kMostChoices));
  return list.get<std::vector<std::string>>();
}

std::string letter(std::size_t i) { return std::string(1, static_cast<char>('A' + i)); }

/// "high school / physics" as part of a name.
std::string name_part(std::string text) {
  for (char& c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-')) c = '_';
  return text;
}

/// {"question", "choices": [...], "answer": number from 0 or letter}, perhaps with "subject". The choices stand in the prompt,
/// and their letters are scored.
Question read_mmlu(const JsonObject& json) {
  Question q;
  const std::vector<std::string> choices = texts(json, "choices");
  const nlohmann::json& answer = json.at("answer");
  for (std::size_t i = 0; i < choices.size(); ++i) q.item.choices.push_back(letter(i));
  if (answer.is_string()) {
    const auto found = std::ranges::find(q.item.choices, answer.get<std::string>());
    if (found == q.item.choices.end()) json.wrong("answer", fmt::format("a letter from A to {}", q.item.choices.back()));
    q.item.answer = static_cast<std::size_t>(found - q.item.choices.begin());
  } else {
    q.item.answer = static_cast<std::size_t>(json.integer("answer", 0, static_cast<std::int64_t>(choices.size()) - 1));
  }
  const std::string subject = json.string_or("subject", "");
  q.item.task = subject.empty() ? "mmlu" : "mmlu_" + name_part(subject);
  std::string about = subject.empty() ? "" : " about " + subject;
  std::ranges::replace(about, '_', ' ');
  q.description = "The following are multiple choice questions (with answers)" + about + ".\n\n";
  q.text = stripped(json.string("question"));
  for (std::size_t i = 0; i < choices.size(); ++i) q.text += fmt::format("\n{}. {}", letter(i), choices[i]);
  q.text += "\nAnswer:";
  return q;
}

/// {"question", "choices": {"text": [...], "label": [...]}, "answerKey": one of the labels}.
Question read_arc(const JsonObject& json) {
  Question q;
  q.item.task = "arc";
  const JsonObject choices(json.at("choices"), json.where() + ", choices");
  q.item.choices = texts(choices, "text");
  const std::vector<std::string> labels = texts(choices, "label");
  if (labels.size() != q.item.choices.size())
    choices.wrong("label", fmt::format("{} labels, one a text", q.item.choices.size()));
  const auto found = std::ranges::find(labels, json.string("answerKey"));
  if (found == labels.end()) json.wrong("answerKey", "one of the labels");
  q.item.answer = static_cast<std::size_t>(found - labels.begin());
  q.text = "Question: " + json.string("question") + "\nAnswer:";
  return q;
}

/// Removes what WikiHow articles left in HellaSwag: "[title]", "[step]" and the like, where they end on their line.
std::string without_markers(const std::string& text) {
  const std::string titled = replace_all(stripped(text), " [title]", ". ");
  std::string result;
  std::size_t end = 0;  // the first "]" or line end from i on, looked for again once it is passed
  for (std::size_t i = 0; i < titled.size(); ++i) {
    if (titled[i] == '[' && end <= i) end = std::min(titled.find_first_of("]\n", i), titled.size());
    if (titled[i] == '[' && end < titled.size() && titled[end] == ']')
      i = end;
    else
      result += titled[i];
  }
  return replace_all(result, "  ", " ");
}

bool has_context_parts(const JsonObject& json) { return json.has("ctx_a") && json.has("ctx_b"); }

/// The harness makes the context of its two parts, and the published `ctx` is another: its second part begins small.
std::string hellaswag_context(const JsonObject& json) {
  return has_context_parts(json) ? json.string("ctx_a") + " " + capitalized(json.string("ctx_b")) : json.string("ctx");
}

/// {"ctx_a", "ctx_b", or else "ctx", "endings": [...], "label": number from 0, perhaps as a text}, perhaps with
/// "activity_label".
Question read_hellaswag(const JsonObject& json) {
  Question q;
  q.item.task = "hellaswag";
  q.item.choices = texts(json, "endings");
  for (std::string& ending : q.item.choices) ending = without_markers(ending);
  const std::string expected = fmt::format("the number of an ending, 0 to {}", q.item.choices.size() - 1);
  const nlohmann::json& label = json.at("label");
  const std::string number = label.is_string() ? label.get<std::string>() : label.dump();
  while (q.item.answer < q.item.choices.size() && std::to_string(q.item.answer) != number) ++q.item.answer;
  if (q.item.answer == q.item.choices.size()) json.wrong("label", expected);
  const std::string activity = json.has("activity_label") ? json.string("activity_label") + ": " : "";
  q.text = without_markers(activity + hellaswag_context(json));
  return q;
}

/// {"question", "answer": "... #### number"}: the answer is generated.
Question read_gsm8k(const JsonObject& json) {
  Question q;
  q.item.task = "gsm8k";
  const std::string answer = json.string("answer");
  const std::size_t mark = answer.rfind(kAnswerMark);
  const auto number = mark == std::string::npos ? std::nullopt : answer_number(std::string_view(answer).substr(mark));
  if (!number) json.wrong("answer", "a text that ends with #### and a number");
  q.item.number = *number;
  q.item.compared = gsm8k_compared(answer);
  q.text = "Question: " + json.string("question") + "\nAnswer:";
  q.target = answer;
  return q;
}

Question read_question(const JsonObject& json) {
  if (json.has("endings") && (json.has("ctx") || has_context_parts(json))) return read_hellaswag(json);
  if (json.has("question") && json.has("choices") && json.at("choices").is_array()) return read_mmlu(json);
  if (json.has("question") && json.has("choices")) return read_arc(json);
  if (json.has("question") && json.has("answer")) return read_gsm8k(json);
  fail(ExitCode::bad_input,
       fmt::format("{}: an item of no known shape, with the keys {}. Expected question, choices, answer (MMLU: choices a list, "
                   "answer a number or letter), question, choices, answerKey (ARC: choices with text and label), ctx (or ctx_a "
                   "and ctx_b), endings, label (HellaSwag), or question, answer (GSM8K: answer ends with #### and a number)",
                   json.where(), excerpt_list(json.keys())));
}

std::vector<Question> read_questions(const JsonLines& lines) {
  std::vector<Question> questions;
  for (std::size_t i = 0; i < lines.objects.size(); ++i) {
    Question q = read_question(lines.objects[i]);
    if (!q.item.choices.empty()) q.target = q.item.choices[q.item.answer];
    q.item.index = i;
    q.item.where = lines.objects[i].where();
    questions.push_back(std::move(q));
  }
  return questions;
}

/// The first `n` questions of each task, put one behind the other with their answers.
struct Examples {
  Examples(const std::vector<Question>& questions, std::size_t n) {
    for (const Question& q : questions) {
      auto& [count, text] = of_task[q.item.task];
      if (count == n) continue;
      ++count;
      text += q.text + " " + q.target + "\n\n";
    }
  }
  std::map<std::string, std::pair<std::size_t, std::string>> of_task;
};

/// Each text with its length, so that none can pass for parts of two.
std::string hash_of_prompts(const std::vector<TaskItem>& items) {
  Sha256 hash;
  const auto add = [&](const std::string& text) { hash.update(fmt::format("{}:{}", text.size(), text)); };
  for (const TaskItem& item : items) {
    add(item.prompt);
    for (const std::string& choice : item.choices) add(choice);
  }
  return hash.hex();
}

}  // namespace

TaskItems read_task_items(const TaskConfig& config) {
  const JsonLines lines = read_json_lines(config.tasks);
  TaskItems result{.items = {}, .sha256 = lines.sha256};
  std::vector<Question> questions = read_questions(lines);
  const auto n = static_cast<std::size_t>(config.num_fewshot);
  const bool own = config.fewshot_file.empty();
  std::map<std::string, std::size_t> left_out;  // of each task, because they are examples
  const Examples examples = [&] {
    if (own) return Examples(questions, n);
    const JsonLines others = read_json_lines(config.fewshot_file);
    result.fewshot_sha256 = others.sha256;
    return Examples(read_questions(others), n);
  }();
  std::uint64_t bytes = 0;
  for (Question& q : questions) {
    if (own && left_out[q.item.task] < n) {
      ++left_out[q.item.task];
      continue;
    }
    const auto found = examples.of_task.find(q.item.task);
    if (n > 0 && (found == examples.of_task.end() || found->second.first < n))
      fail(ExitCode::bad_input,
           fmt::format("{}: --num-fewshot {}, and {} has {} of the task {}", q.item.where, n, config.fewshot_file.string(),
                       found == examples.of_task.end() ? 0 : found->second.first, excerpt(q.item.task)));
    q.item.prompt = q.description + (n > 0 ? found->second.second : "") + q.text;
    // Each item has the examples in its prompt.
    if (bytes += q.item.prompt.size(); bytes > kJsonLinesLimit)
      fail(ExitCode::bad_input,
           fmt::format(
               "{}: the prompts up to this item have more than {} bytes, which are kept in memory; give fewer or shorter "
               "examples, or split the file",
               q.item.where, kJsonLinesLimit));
    result.items.push_back(std::move(q.item));
  }
  for (const TaskItem& item : result.items) left_out.erase(item.task);
  if (result.items.empty())
    fail(ExitCode::bad_input,
         fmt::format("{}: --num-fewshot {} takes every item as an example and leaves none to score; give examples with "
                     "--fewshot-file",
                     config.tasks.string(), n));
  for (const auto& [task, items] : left_out) result.not_scored.push_back(task);
  result.prompts_sha256 = hash_of_prompts(result.items);
  return result;
}

}  // namespace expunge
