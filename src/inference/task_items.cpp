// Reads the forms of benchmark items, and writes prompts as the Language Model Evaluation Harness does.
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

/// An item before its examples are added.
struct Question {
  TaskItem item;
  std::string description, text, target;
};

/// Reads a list of texts. Empty texts are valid, because the harness scores them, too.
std::vector<std::string> texts(const JsonObject& json, const std::string& key) {
  const nlohmann::json& list = json.at(key);
  const bool good = list.is_array() && list.size() >= 2 && list.size() <= kMostChoices &&
                    std::ranges::all_of(list, [](const auto& text) { return text.is_string(); });
  if (!good) json.wrong(key, fmt::format("a list of 2 to {} texts", kMostChoices));
  return list.get<std::vector<std::string>>();
}

std::string letter(std::size_t i) { return std::string(1, static_cast<char>('A' + i)); }

/// Replaces characters that a task's name cannot hold: "high school / physics" becomes "high_school___physics".
std::string name_part(std::string text) {
  for (char& c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-')) c = '_';
  return text;
}

/// {"question", "choices": [...], "answer": number from 0 or letter}, perhaps with "subject". The prompt shows the choices, and
/// their letters are scored.
Question read_mmlu(const JsonObject& json) {
  Question question;
  const std::vector<std::string> choices = texts(json, "choices");
  const nlohmann::json& answer = json.at("answer");
  for (std::size_t i = 0; i < choices.size(); ++i) question.item.choices.push_back(letter(i));
  if (answer.is_string()) {
    const auto found = std::ranges::find(question.item.choices, answer.get<std::string>());
    if (found == question.item.choices.end())
      json.wrong("answer", fmt::format("a letter from A to {}", question.item.choices.back()));
    question.item.answer = static_cast<std::size_t>(found - question.item.choices.begin());
  } else {
    question.item.answer = static_cast<std::size_t>(json.integer("answer", 0, static_cast<std::int64_t>(choices.size()) - 1));
  }
  const std::string subject = json.string_or("subject", "");
  question.item.task = subject.empty() ? "mmlu" : "mmlu_" + name_part(subject);
  std::string about = subject.empty() ? "" : " about " + subject;
  std::ranges::replace(about, '_', ' ');
  question.description = "The following are multiple choice questions (with answers)" + about + ".\n\n";
  question.text = stripped(json.string("question"));
  for (std::size_t i = 0; i < choices.size(); ++i) question.text += fmt::format("\n{}. {}", letter(i), choices[i]);
  question.text += "\nAnswer:";
  return question;
}

/// {"question", "choices": {"text": [...], "label": [...]}, "answerKey": one of the labels}.
Question read_arc(const JsonObject& json) {
  Question question;
  question.item.task = "arc";
  const JsonObject choices(json.at("choices"), json.where() + ", choices");
  question.item.choices = texts(choices, "text");
  const std::vector<std::string> labels = texts(choices, "label");
  if (labels.size() != question.item.choices.size())
    choices.wrong("label", fmt::format("{} labels, one per text", question.item.choices.size()));
  const auto found = std::ranges::find(labels, json.string("answerKey"));
  if (found == labels.end()) json.wrong("answerKey", "one of the labels");
  question.item.answer = static_cast<std::size_t>(found - labels.begin());
  question.text = "Question: " + json.string("question") + "\nAnswer:";
  return question;
}

/// Removes markup of WikiHow articles in HellaSwag: "[title]", "[step]" and the like, if it ends on its line.
std::string without_markers(const std::string& text) {
  const std::string titled = replace_all(stripped(text), " [title]", ". ");
  std::string result;
  std::size_t end = 0;  // position of the next "]" or line end; searched again once i has passed it
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

/// Joins the two parts as the harness does, because the published `ctx` begins its second part with a small letter.
std::string hellaswag_context(const JsonObject& json) {
  return has_context_parts(json) ? json.string("ctx_a") + " " + capitalized(json.string("ctx_b")) : json.string("ctx");
}

/// {"ctx_a", "ctx_b", or else "ctx", "endings": [...], "label": number from 0, perhaps as a text}, perhaps with
/// "activity_label".
Question read_hellaswag(const JsonObject& json) {
  Question question;
  question.item.task = "hellaswag";
  question.item.choices = texts(json, "endings");
  for (std::string& ending : question.item.choices) ending = without_markers(ending);
  const std::string expected = fmt::format("the number of an ending, 0 to {}", question.item.choices.size() - 1);
  const nlohmann::json& label = json.at("label");
  const std::string number = label.is_string() ? label.get<std::string>() : label.dump();
  while (question.item.answer < question.item.choices.size() && std::to_string(question.item.answer) != number)
    ++question.item.answer;
  if (question.item.answer == question.item.choices.size()) json.wrong("label", expected);
  const std::string activity = json.has("activity_label") ? json.string("activity_label") + ": " : "";
  question.text = without_markers(activity + hellaswag_context(json));
  return question;
}

/// {"question", "answer": "... #### number"}; the answer is generated.
Question read_gsm8k(const JsonObject& json) {
  Question question;
  question.item.task = "gsm8k";
  const std::string answer = json.string("answer");
  const std::size_t mark = answer.rfind(kAnswerMark);
  const auto number = mark == std::string::npos ? std::nullopt : answer_number(std::string_view(answer).substr(mark));
  if (!number) json.wrong("answer", "a text that ends with #### and a number");
  question.item.number = *number;
  question.item.compared = gsm8k_compared(answer);
  question.text = "Question: " + json.string("question") + "\nAnswer:";
  question.target = answer;
  return question;
}

Question read_question(const JsonObject& json) {
  if (json.has("endings") && (json.has("ctx") || has_context_parts(json))) return read_hellaswag(json);
  if (json.has("question") && json.has("choices") && json.at("choices").is_array()) return read_mmlu(json);
  if (json.has("question") && json.has("choices")) return read_arc(json);
  if (json.has("question") && json.has("answer")) return read_gsm8k(json);
  fail(ExitCode::bad_input,
       fmt::format("{}: unknown kind of item, with the keys {}; expected question, choices, answer (MMLU: choices a list, "
                   "answer a number or letter), question, choices, answerKey (ARC: choices with text and label), ctx (or ctx_a "
                   "and ctx_b), endings, label (HellaSwag), or question, answer (GSM8K: answer ends with #### and a number)",
                   json.where(), excerpt_list(json.keys())));
}

std::vector<Question> read_questions(const JsonLines& lines) {
  std::vector<Question> questions;
  for (std::size_t i = 0; i < lines.objects.size(); ++i) {
    Question question = read_question(lines.objects[i]);
    if (!question.item.choices.empty()) question.target = question.item.choices[question.item.answer];
    question.item.index = i;
    question.item.where = lines.objects[i].where();
    questions.push_back(std::move(question));
  }
  return questions;
}

/// The first `n` questions of each task with their answers, one after another.
struct Examples {
  Examples(const std::vector<Question>& questions, std::size_t n) {
    for (const Question& question : questions) {
      auto& [count, text] = of_task[question.item.task];
      if (count == n) continue;
      ++count;
      text += question.text + " " + question.target + "\n\n";
    }
  }
  std::map<std::string, std::pair<std::size_t, std::string>> of_task;
};

/// Hashes each text with its length, so that one text never hashes like parts of two.
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
  std::map<std::string, std::size_t> left_out;  // number of items of each task that are examples
  const Examples examples = [&] {
    if (own) return Examples(questions, n);
    const JsonLines others = read_json_lines(config.fewshot_file);
    result.fewshot_sha256 = others.sha256;
    return Examples(read_questions(others), n);
  }();
  std::uint64_t bytes = 0;
  for (Question& question : questions) {
    if (own && left_out[question.item.task] < n) {
      ++left_out[question.item.task];
      continue;
    }
    const auto found = examples.of_task.find(question.item.task);
    if (n > 0 && (found == examples.of_task.end() || found->second.first < n))
      fail(ExitCode::bad_input,
           fmt::format("{}: --num-fewshot {} needs {} items of the task {}, but {} has {}", question.item.where, n, n,
                       excerpt(question.item.task), config.fewshot_file.string(),
                       found == examples.of_task.end() ? 0 : found->second.first));
    question.item.prompt = question.description + (n > 0 ? found->second.second : "") + question.text;
    // Each prompt contains the examples, so the total may exceed the size of the file many times.
    bytes += question.item.prompt.size();
    if (bytes > kJsonLinesLimit)
      fail(
          ExitCode::bad_input,
          fmt::format("{}: the prompts up to this item have more than {} bytes, the most that is kept in memory; give fewer or "
                      "shorter examples, or split the file",
                      question.item.where, kJsonLinesLimit));
    result.items.push_back(std::move(question.item));
  }
  for (const TaskItem& item : result.items) left_out.erase(item.task);
  if (result.items.empty())
    fail(ExitCode::bad_input,
         fmt::format("{}: --num-fewshot {} uses every item as an example, so none is left to score; give examples with "
                     "--fewshot-file",
                     config.tasks.string(), n));
  for (const auto& [task, items] : left_out) result.not_scored.push_back(task);
  result.prompts_sha256 = hash_of_prompts(result.items);
  return result;
}

}  // namespace expunge
