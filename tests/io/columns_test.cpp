// Appendable columns: whole at every moment, cut on resume, refused when damaged.
#include "io/columns.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include "io/hdf5.h"
#include "support/temporary_folder.h"
#include "support/tiny_disk.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = Columns::Kind;

const std::vector<Columns::Column> kColumns = {{"/train/step", Kind::int64}, {"/train/loss", Kind::float64}};

void append(Columns& table, std::int64_t step, double loss) {
  const std::vector<Columns::Value> row{step, loss};
  table.append_rows(std::span(&row, 1));
}

TEST(Columns, AppendReadAndReopen) {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.h5";
  {
    Columns table(path, kColumns);
    EXPECT_EQ(table.rows(), 0u);
    for (std::int64_t i = 1; i <= 3; ++i) append(table, i, 0.5 * double(i));
  }
  Columns table(path, kColumns);
  EXPECT_EQ(table.rows(), 3u);
  append(table, 4, 2.0);
  EXPECT_THAT(table.read_int64("/train/step"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(table.read_float64("/train/loss"), ElementsAre(0.5, 1.0, 1.5, 2.0));
  EXPECT_THAT(folder.names(), ElementsAre("metrics.h5"));
}

TEST(Columns, TruncateAfterAStep) {
  const TemporaryFolder folder;
  Columns table(folder / "m.h5", kColumns);
  for (std::int64_t step : {1, 2, 5, 6}) append(table, step, double(step));
  table.truncate_after("/train/step", 9);
  EXPECT_EQ(table.rows(), 4u);
  table.truncate_after("/train/step", 5);
  EXPECT_EQ(table.rows(), 3u);
  table.truncate_after("/train/step", 3);
  EXPECT_THAT(table.read_int64("/train/step"), ElementsAre(1, 2));
  append(table, 3, 3.0);
  EXPECT_THAT(table.read_float64("/train/loss"), ElementsAre(1.0, 2.0, 3.0));
  table.truncate_after("/train/step", 0);
  EXPECT_EQ(Columns(folder / "m.h5", kColumns).rows(), 0u);
}

TEST(Columns, RefusesWhatIsNotSuchATable) {
  const TemporaryFolder folder;
  const auto path = folder / "m.h5";
  const auto message = [&] { return error_of(ExitCode::bad_input, [&] { Columns(path, kColumns); }); };
  const auto rewrite = [&](const std::function<void(Hdf5File&)>& fill) {
    std::filesystem::remove(path);
    Hdf5File file = Hdf5File::create(path);
    fill(file);
    file.close();
  };
  rewrite([](Hdf5File& file) { file.create_extendible<std::int64_t>("/train/step", 8); });
  EXPECT_THAT(message(), HasSubstr("/train/loss: there is no such dataset"));
  rewrite([](Hdf5File& file) {
    file.create_extendible<std::int64_t>("/train/step", 8);
    file.create_extendible<float>("/train/loss", 8);
  });
  EXPECT_THAT(message(), HasSubstr("expected float64, found float32"));
  rewrite([](Hdf5File& file) {
    file.create_dataset<std::int64_t>("/train/step", {1});
    file.create_dataset<double>("/train/loss", {1, 1});
  });
  EXPECT_THAT(message(), HasSubstr("expected one dimension, found 2"));
  rewrite([](Hdf5File& file) {
    file.create_extendible<std::int64_t>("/train/step", 8);
    file.create_extendible<double>("/train/loss", 8);
    const std::int64_t one = 1;
    file.append<std::int64_t>("/train/step", std::span(&one, 1));
  });
  EXPECT_THAT(message(), AllOf(HasSubstr("/train/loss has 0 rows"), HasSubstr("damaged")));
  folder.write("m.h5", slurp(path).substr(0, 1000));
  EXPECT_THAT(message(), HasSubstr("truncated"));
}

TEST(Columns, StepsMustIncrease) {
  const TemporaryFolder folder;
  Columns table(folder / "m.h5", kColumns);
  append(table, 2, 0.0);
  append(table, 2, 0.0);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { table.truncate_after("/train/step", 1); }), HasSubstr("row 1 does not"));
}

TEST(Columns, AKillAtAnyMomentLeavesThemWhole) {
  const TemporaryFolder folder;
  const auto path = folder / "m.h5";
  Columns(path, kColumns);
  std::uint64_t seen = 0;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Columns table(path, kColumns);
      for (std::int64_t step = static_cast<std::int64_t>(table.rows()) + 1;; ++step) append(table, step, double(step));
    }
    for (int i = 0; i < 5; ++i) {  // a reader at the same time
      ::usleep(static_cast<useconds_t>(700 * attempt + 500));
      EXPECT_NO_THROW(Columns(path, kColumns));
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Columns table(path, kColumns);
    const std::vector<std::int64_t> steps = table.read_int64("/train/step");
    const std::vector<double> losses = table.read_float64("/train/loss");
    ASSERT_EQ(steps.size(), losses.size());
    ASSERT_GE(steps.size(), seen);
    seen = steps.size();
    for (std::size_t i = 0; i < steps.size(); ++i) {
      ASSERT_EQ(steps[i], static_cast<std::int64_t>(i) + 1);
      ASSERT_EQ(losses[i], static_cast<double>(steps[i]));
    }
  }
  EXPECT_GT(seen, 0u);
}

TEST(Columns, AFullDiskKeepsTheRowsWritten) {
  const TinyDisk disk(300 << 10);
  if (!disk.ready()) GTEST_SKIP() << "only root can mount a small file system";
  const auto path = disk.folder() / "m.h5";
  Columns table(path, kColumns);
  append(table, 1, 1.0);
  disk.fill();
  EXPECT_THAT(error_of(ExitCode::output, [&] { append(table, 2, 2.0); }), HasSubstr("No space left on device"));
  EXPECT_EQ(table.rows(), 1u);
  EXPECT_THAT(Columns(path, kColumns).read_int64("/train/step"), ElementsAre(1));
}

}  // namespace
}  // namespace expunge
