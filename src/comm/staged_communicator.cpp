// Collectives of ranks that share a GPU: device memory is copied through the host and MPI. For tests; the host waits
// for each.
#include <utility>
#include <vector>

#include "expunge/communicator.h"

namespace expunge {
namespace {

class StagedCommunicator final : public Communicator {
 public:
  explicit StagedCommunicator(std::unique_ptr<Communicator> host) : host_(std::move(host)) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  bool whole_is_shard() const override { return size() == 1; }

  void all_gather(Stream& stream, void* whole, const void* shard, std::size_t bytes) override {
    char* const mine = room(in_, bytes);
    char* const all = room(out_, bytes * ranks());
    fetch(stream, mine, shard, bytes);
    host_->all_gather(*host_stream_, all, mine, bytes);
    copy_to_device(stream, whole, all, bytes * ranks());
    stream.synchronize();
  }
  void reduce_scatter(Stream& stream, float* shard, const float* whole, std::size_t n) override {
    exchange(stream, shard, whole, n);
  }
  void reduce_scatter(Stream& stream, double* shard, const double* whole, std::size_t n) override {
    exchange(stream, shard, whole, n);
  }
  void reduce_scatter(Stream& stream, float* shard, const bf16* whole, std::size_t n) override {
    exchange(stream, shard, whole, n);
  }

  void all_reduce(Stream&, std::span<double> values, Reduce reduce) override {
    host_->all_reduce(*host_stream_, values, reduce);
  }
  void broadcast(Stream&, void* data, std::size_t bytes, int root) override {
    host_->broadcast(*host_stream_, data, bytes, root);
  }

 private:
  std::size_t ranks() const { return static_cast<std::size_t>(size()); }

  /// At least `bytes` of host memory, kept for the next call; aligned, because it comes from the pool.
  static char* room(Buffer<char>& buffer, std::size_t bytes) {
    if (buffer.size() < bytes) buffer = Buffer<char>(Device{}, bytes);
    return buffer.data();
  }

  /// Copies device memory to the host, after all earlier work of the stream.
  static void fetch(Stream& stream, void* to, const void* from, std::size_t bytes) {
    copy_to_host(stream, to, from, bytes);
    stream.synchronize();
  }

  template <typename Sum, typename Wire>
  void exchange(Stream& stream, Sum* shard, const Wire* whole, std::size_t n) {
    auto* const all = reinterpret_cast<Wire*>(room(in_, n * ranks() * sizeof(Wire)));
    auto* const sum = reinterpret_cast<Sum*>(room(out_, n * sizeof(Sum)));
    fetch(stream, all, whole, n * ranks() * sizeof(Wire));
    host_->reduce_scatter(*host_stream_, sum, all, n);
    copy_to_device(stream, shard, sum, n * sizeof(Sum));
    stream.synchronize();
  }

  std::unique_ptr<Communicator> host_;
  std::unique_ptr<Stream> host_stream_ = make_inline_stream();
  Buffer<char> in_, out_;
};

}  // namespace

std::unique_ptr<Communicator> make_staged_communicator(std::unique_ptr<Communicator> host) {
  return std::make_unique<StagedCommunicator>(std::move(host));
}

}  // namespace expunge
