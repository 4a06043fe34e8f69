// Benchmark items: the prompts that they become, where examples come from, and what is refused.
#include "inference/task_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "expunge/error.h"
#include "inference/options.h"
#include "support/growth.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

class TaskItemsTest : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& lines) {
    std::ofstream(folder_ / name) << lines;
    return folder_ / name;
  }
  std::vector<TaskItem> read(const std::string& lines, int examples = 0, const std::string& example_lines = "") {
    TaskConfig config;
    config.tasks = write("tasks.jsonl", lines);
    config.num_fewshot = examples;
    if (!example_lines.empty()) config.fewshot_file = write("examples.jsonl", example_lines);
    return read_task_items(config).items;
  }
  /// The message of the Error(bad_input) that reading throws.
  std::string refusal(const std::string& lines, int examples = 0, const std::string& example_lines = "") {
    try {
      read(lines, examples, example_lines);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      return error.what();
    }
    return "no error";
  }

 private:
  TemporaryFolder folder_;
};

const std::string kMmlu = R"({"question": " 1 + 1 is ", "choices": ["2", "3"], "answer": 0, "subject": "hard_sums"})"
                          "\n"
                          R"({"question": "2 + 2 is", "choices": ["3", "4"], "answer": "B", "subject": "hard_sums"})"
                          "\n"
                          R"({"question": "Red?", "choices": ["no", "yes"], "answer": 1})"
                          "\n";

TEST_F(TaskItemsTest, MmluIsScoredByLetters) {
  const std::vector<TaskItem> items = read(kMmlu);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].task, "mmlu_hard_sums");
  EXPECT_EQ(items[0].prompt,
            "The following are multiple choice questions (with answers) about hard sums.\n\n1 + 1 is\nA. 2\nB. 3\nAnswer:");
  EXPECT_THAT(items[0].choices, testing::ElementsAre("A", "B"));
  EXPECT_EQ(items[0].answer, 0u);
  EXPECT_EQ(items[1].answer, 1u);
  EXPECT_EQ(items[2].task, "mmlu");
  EXPECT_EQ(items[2].prompt, "The following are multiple choice questions (with answers).\n\nRed?\nA. no\nB. yes\nAnswer:");
  EXPECT_EQ(items[2].index, 2u);
}

TEST_F(TaskItemsTest, ExamplesAreTheFirstOfTheTaskAndNotScored) {
  const std::vector<TaskItem> items = read(kMmlu + kMmlu, 1);
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].index, 1u);
  EXPECT_EQ(items[0].prompt,
            "The following are multiple choice questions (with answers) about hard sums.\n\n1 + 1 is\nA. 2\nB. 3\nAnswer: A\n\n"
            "2 + 2 is\nA. 3\nB. 4\nAnswer:");
  EXPECT_EQ(items[3].task, "mmlu");
  EXPECT_EQ(items[3].index, 5u);
}

TEST_F(TaskItemsTest, ExamplesOfAnotherFileLeaveEveryItemToScore) {
  const std::vector<TaskItem> items = read(R"({"question": "1 + 2?", "answer": "#### 3"})", 2,
                                           R"({"question": "1 + 1?", "answer": "It is <<1+1=2>>2.\n#### 2"})"
                                           "\n"
                                           R"({"question": "0 + 1?", "answer": "#### 1"})"
                                           "\n"
                                           R"({"question": "0 + 0?", "answer": "#### 0"})");
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(
      items[0].prompt,
      "Question: 1 + 1?\nAnswer: It is <<1+1=2>>2.\n#### 2\n\nQuestion: 0 + 1?\nAnswer: #### 1\n\nQuestion: 1 + 2?\nAnswer:");
  EXPECT_EQ(items[0].number, "3");
  EXPECT_TRUE(items[0].choices.empty());
}

TEST_F(TaskItemsTest, ArcNamesItsAnswerByLabel) {
  const std::vector<TaskItem> items =
      read(R"({"question": "Why?", "choices": {"text": ["a b", "c"], "label": ["1", "2"]}, "answerKey": "2"})");
  EXPECT_EQ(items.at(0).task, "arc");
  EXPECT_EQ(items.at(0).prompt, "Question: Why?\nAnswer:");
  EXPECT_THAT(items.at(0).choices, testing::ElementsAre("a b", "c"));
  EXPECT_EQ(items.at(0).answer, 1u);
}

TEST_F(TaskItemsTest, HellaSwagLosesItsMarkers) {
  const std::vector<TaskItem> items = read(
      R"({"activity_label": "Baking", "ctx": "A man [title] bakes.  He [substeps] ", "endings": ["[step] eats", "a [b"], "label": "1"})");
  EXPECT_EQ(items.at(0).task, "hellaswag");
  EXPECT_EQ(items.at(0).prompt, "Baking: A man. bakes. He ");
  EXPECT_THAT(items.at(0).choices, testing::ElementsAre(" eats", "a [b"));
  EXPECT_EQ(items.at(0).answer, 1u);
}

/// Prompts, choices and right answers of every item, as the harness put them with the same number of examples.
TEST(TaskItemsOfTheHarness, AreWhatItAsks) {
  const std::filesystem::path folder = std::filesystem::path(EXPUNGE_FIXTURES) / "tasks";
  std::map<int, std::vector<TaskItem>> items;
  for (const int shots : {0, 2}) {
    TaskConfig config;
    config.tasks = folder / "items.jsonl";
    config.num_fewshot = shots;
    if (shots > 0) config.fewshot_file = folder / "examples.jsonl";
    items[shots] = read_task_items(config).items;
  }
  std::ifstream file(folder / "expected.jsonl");
  std::size_t compared = 0;
  for (std::string line; std::getline(file, line); ++compared) {
    const nlohmann::json expected = nlohmann::json::parse(line);
    const TaskItem& item = items.at(expected.at("shots")).at(expected.at("index"));
    EXPECT_EQ(item.task, expected.at("task")) << line;
    EXPECT_EQ(item.prompt, expected.at("prompt")) << line;
    EXPECT_EQ(item.choices, expected.value("choices", std::vector<std::string>())) << line;
    EXPECT_EQ(item.answer, expected.value("answer", 0u)) << line;
  }
  EXPECT_EQ(compared, 320u);
}

TEST_F(TaskItemsTest, HellaSwagTakesTheContextOfItsParts) {
  const auto prompt = [&](const std::string& keys) {
    return read("{" + keys + R"(, "endings": ["a", ""], "label": 0})").at(0).prompt;
  };
  const std::string ctx = R"("ctx": "Published. he")";
  EXPECT_EQ(prompt(ctx + R"(, "ctx_a": "On a roof.", "ctx_b": "he Then")"), "On a roof. He then");
  EXPECT_EQ(prompt(R"("ctx_a": "On a roof.", "ctx_b": "")"), "On a roof.");
  // Where a part is missing, the published context is all there is.
  EXPECT_EQ(prompt(ctx + R"(, "ctx_a": "On a roof.")"), "Published. he");
  EXPECT_EQ(prompt(ctx + R"(, "ctx_a": null, "ctx_b": "he")"), "Published. he");
  EXPECT_EQ(prompt(ctx + R"(, "activity_label": "")"), ": Published. he");
}

TEST_F(TaskItemsTest, RefusesByLine) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal(kMmlu + R"({"text": "a"})"), HasSubstr("tasks.jsonl, line 4: unknown kind of item, with the keys text"));
  EXPECT_THAT(refusal(R"({"question": "a", "choices": ["b", "c"], "answer": 2})"),
              HasSubstr("line 1: key 'answer': expected an integer of at least 0, at most 1, found 2"));
  EXPECT_THAT(refusal(R"({"question": "a", "choices": ["b", "c"], "answer": "C"})"), HasSubstr("a letter from A to B"));
  EXPECT_THAT(refusal(R"({"question": "a", "choices": ["b"], "answer": 0})"), HasSubstr("key 'choices': expected a list of 2"));
  EXPECT_THAT(refusal(R"({"question": "a", "choices": ["b", 2], "answer": 0})"), HasSubstr("a list of 2 to 26 texts"));
  EXPECT_THAT(refusal(R"({"question": "a", "choices": {"text": ["b", "c"], "label": ["A", "B", "C"]}, "answerKey": "A"})"),
              HasSubstr("choices: key 'label': expected 2 labels"));
  EXPECT_THAT(refusal(R"({"question": "a", "choices": {"text": ["b", "c"], "label": ["A", "B"]}, "answerKey": "3"})"),
              HasSubstr("key 'answerKey': expected one of the labels, found \"3\""));
  EXPECT_THAT(refusal(R"({"ctx": "a", "endings": ["b", "c"], "label": ""})"), HasSubstr("the number of an ending, 0 to 1"));
  EXPECT_THAT(refusal(R"({"ctx_a": "a", "endings": ["b", "c"], "label": 0})"), HasSubstr("ctx (or ctx_a and ctx_b)"));
  EXPECT_THAT(refusal(R"({"ctx_a": "a", "ctx_b": 2, "endings": ["b", "c"], "label": 0})"), HasSubstr("key 'ctx_b': expected"));
  EXPECT_THAT(refusal(R"({"question": "a", "answer": "7"})"), HasSubstr("ends with #### and a number"));
  EXPECT_THAT(refusal(kMmlu, 2), HasSubstr("none is left to score"));
  EXPECT_THAT(refusal(R"({"question": "a", "answer": "#### 7"})", 2, kMmlu),
              HasSubstr("needs 2 items of the task gsm8k, but "));
}

TEST_F(TaskItemsTest, MarkersAreRemovedInLinearTime) {
  const auto make = [](std::size_t size) {
    return R"({"ctx": ")" + std::string(size, '[') + R"(", "endings": ["a", "b"], "label": 0})" + "\n";
  };
  expect_linear_time(50'000, make, [&](const std::string& line) { EXPECT_EQ(read(line).size(), 1u); });
  const auto prompt = [&](const std::string& text) {
    return read(R"({"ctx": ")" + text + R"(", "endings": ["a", "b"], "label": 0})" + "\n")[0].prompt;
  };
  EXPECT_EQ(prompt("a [[x] b [y\\n] c [z"), "a b [y\n] c [z");
  EXPECT_EQ(prompt("[[[]]]"), "]]");
}

TEST_F(TaskItemsTest, PromptsTogetherHaveALimit) {
  std::string lines;
  for (int i = 0; i < 300; ++i)
    lines += R"({"question": "Red?", "choices": ["no", "yes"], "answer": 1})"
             "\n";
  const std::string example =
      R"({"question": ")" + std::string(1 << 20, 'x') + R"(", "choices": ["no", "yes"], "answer": 1})" + "\n";
  EXPECT_THAT(refusal(lines, 1, example),
              testing::HasSubstr("line 256: the prompts up to this item have more than 268435456 bytes"));
}

}  // namespace
}  // namespace expunge
