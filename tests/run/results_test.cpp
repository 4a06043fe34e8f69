// Files of results: every one holds every metric, and files of versions that had fewer are read as what they are.
#include "run/results/eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "run/results/evaluations.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

const EvaluationSource kSource{"model", "model hash", "tokens", "tokens hash", "tokenizer hash", 8, "float32", "cpu"};
const std::vector<std::string> kSplits = {"books/forget", "books/retain"};

std::vector<SequenceMetrics> sequences() {
  return {summarise_sequence({{-1, -2, -3}, {1, 0, 1}, {}, {}}), summarise_sequence({{-0.5, -0.25}, {1, 1}, {}, {}})};
}

EvaluationRow row(std::int64_t step) {
  return {step, {{kSplits[0], summarise_split(sequences())}, {kSplits[1], summarise_split(sequences())}}};
}

/// evaluations.h5 as versions wrote it that knew these metrics alone.
void write_former(const std::filesystem::path& path, const std::vector<std::string>& known) {
  std::vector<Columns::Column> columns{{"/eval/step", Columns::Kind::int64}};
  for (const std::string& split : kSplits)
    for (const std::string& metric : known) columns.push_back({"/eval/" + split + "/" + metric, Columns::Kind::float64});
  std::vector<Columns::Value> values(columns.size(), 2.5);
  values.front() = std::int64_t{0};
  Columns(path, columns).append_rows(std::span(&values, 1));
}

TEST(EvaluationFile, HoldsEveryMetric) {
  const TemporaryFolder folder;
  write_evaluation(folder / "eval.h5", Existing::keep, kSource, {{kSplits[0], sequences()}});
  const Hdf5File file = Hdf5File::open(folder / "eval.h5");
  const SplitMetrics found = read_evaluation(file).at(kSplits[0]), expected = summarise_split(sequences());
  for (const Metric& metric : metrics()) {
    EXPECT_EQ(found[metric.name], expected[metric.name]) << metric.name;
    EXPECT_EQ(file.read_attribute<double>("/" + kSplits[0], std::string(metric.name)), expected[metric.name]);
  }
  EXPECT_EQ(found.sequences, 2u);
  EXPECT_EQ(found.targets, 5u);
}

/// Earlier versions kept each sequence's nll, accuracy and extraction strength, and named fewer metrics.
TEST(EvaluationFile, AMetricThatItDoesNotNameComesFromItsSequences) {
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "eval.h5");
  file.create_group("/books/forget");
  file.write_attribute("/books/forget", "perplexity", 3.5);
  file.write_attribute("/books/forget", "sequences", std::uint64_t{2});
  file.write_attribute("/books/forget", "tokens", std::uint64_t{5});
  write_values(file, "/books/forget/nll", std::vector<double>{2, 5});
  write_values(file, "/books/forget/tokens", std::vector<std::uint64_t>{4, 1});
  file.close();
  const SplitMetrics found = read_evaluation(Hdf5File::open(folder / "eval.h5")).at("books/forget");
  EXPECT_EQ(found["perplexity"], 3.5);
  EXPECT_DOUBLE_EQ(found["probability"], (std::exp(-2) + std::exp(-5)) / 2);
  EXPECT_TRUE(std::isnan(found["extraction_strength"]));
  EXPECT_EQ(find_metric("extraction_strength").text(found["extraction_strength"]), "unknown");
}

TEST(EvaluationTable, GivesBackEveryMetricUnderItsName) {
  const TemporaryFolder folder;
  EvaluationTable(folder / "evaluations.h5", kSplits, 0, {}).append(row(0));
  EvaluationTable table(folder / "evaluations.h5", kSplits, 0, {});
  table.append(row(2));
  const std::vector<EvaluationRow> rows = read_evaluations(Hdf5File::open(folder / "evaluations.h5"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].step, 2);
  std::size_t named = 0;
  for (const auto& [name, value] : name_metrics(rows[1], kSplits))
    for (const Metric& metric : metrics())
      if (name == "eval/books/retain/" + std::string(metric.name)) {
        EXPECT_EQ(value, summarise_split(sequences())[metric.name]) << name;
        ++named;
      }
  EXPECT_EQ(named, metrics().size());
}

TEST(EvaluationTable, OfAnEarlierVersionGoesOnWithWhatItLacked) {
  const TemporaryFolder folder;
  write_former(folder / "evaluations.h5", {"perplexity", "token_perplexity", "accuracy"});
  EvaluationTable table(folder / "evaluations.h5", kSplits, 0, {});
  table.append(row(1));
  const std::vector<EvaluationRow> rows = table.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].splits.at(kSplits[0])["accuracy"], 2.5);
  EXPECT_TRUE(std::isnan(rows[0].splits.at(kSplits[0])["probability"]));
  EXPECT_EQ(rows[1].splits.at(kSplits[0])["probability"], summarise_split(sequences())["probability"]);
}

TEST(EvaluationTable, WithoutWhatEveryVersionWroteIsDamaged) {
  const TemporaryFolder folder;
  write_former(folder / "evaluations.h5", {"accuracy"});
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_evaluations(Hdf5File::open(folder / "evaluations.h5")); }),
              HasSubstr("/eval/books/forget/perplexity"));
  EvaluationTable(folder / "evaluations.h5", kSplits, 0, {}).append(row(0));
  EXPECT_TRUE(std::filesystem::exists(folder / "evaluations.h5.damaged"));
}

}  // namespace
}  // namespace expunge
