// Devices, streams (ordered queues of work), events (points in a stream) and buffers (device memory).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace expunge {

enum class DeviceType { cpu, cuda };
/// "cpu" or "cuda", as in options and files.
std::string device_name(DeviceType type);

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;  ///< CUDA ordinal; 0 for the CPU
  bool operator==(const Device&) const = default;
};

/// A point in a stream. Copies refer to the same point; a default-constructed event is already reached.
class Event {
 public:
  struct State {
    virtual ~State() = default;
    virtual void wait() = 0;
  };
  Event() = default;
  explicit Event(std::shared_ptr<State> state) : state_(std::move(state)) {}
  /// Blocks the host until the point is reached; rethrows an error of earlier work in the stream.
  void wait() const {
    if (state_) state_->wait();
  }
  /// Null for an event that is already reached.
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

/// An ordered queue of work on one device.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Device device() const = 0;
  /// Runs host work in the stream's order. On the CPU every kernel and collective is such work.
  virtual void enqueue(std::function<void()> work) = 0;
  virtual Event record() = 0;
  /// Work enqueued from now on starts after `event`.
  virtual void wait(const Event& event) = 0;
  /// Blocks the host until all enqueued work is done; rethrows its error.
  virtual void synchronize() = 0;
};

/// A stream whose work runs at once in the calling thread: the compute stream of the CPU.
std::unique_ptr<Stream> make_inline_stream();
/// A stream with a thread of its own: the communication stream of the CPU.
std::unique_ptr<Stream> make_thread_stream();
/// Priority of a stream among the streams of a GPU.
enum class Urgency { normal, high };
/// A stream of a GPU. Its host work must not call CUDA; synchronize() and later events rethrow what host work throws.
/// Waiting kernels of a high-urgency stream start before those of other streams.
std::unique_ptr<Stream> make_cuda_stream(int index, Urgency urgency = Urgency::normal);

/// The GPUs that this process may use, or the reason for having none: no CUDA in this build, no driver, no GPU.
struct CudaDevices {
  int count = 0;
  std::string problem;  ///< empty where count > 0
};
CudaDevices cuda_devices();

/// Version of the CUDA toolkit of this build, such as "13.0"; empty in a build without CUDA.
std::string cuda_version();

/// Host memory that CUDA's libraries take in every process, even one without a GPU, bytes; 0 in a build without CUDA.
std::size_t cuda_library_bytes();

/// One GPU.
struct CudaDeviceInfo {
  std::string name, uuid;  ///< the UUID as nvidia-smi prints it, "GPU-..."
  int major, minor;        ///< compute capability
  int multiprocessors;
  std::size_t memory, free;  ///< of the device in total; unused by any process
};
/// Throws Error(usage) if the device cannot be used.
CudaDeviceInfo cuda_device_info(int index);

/// Device memory from a pool that keeps freed blocks. First touch of a fresh page costs 40 times a reused one. Thus a
/// training step after the first allocates nothing from the system. Blocks are aligned to 128 bytes. Contents are not
/// initialised.
void* pool_allocate(Device device, std::size_t bytes);
void pool_free(Device device, void* block);
/// Bytes in use now, their peak since the process began, and the total ever requested from the system.
struct PoolUse {
  std::size_t now = 0, peak = 0, from_system = 0;
};
PoolUse pool_use(Device device);

// Copies in stream order. "Device" is the memory of the stream's device; for the CPU it is host memory.

void copy_bytes(Stream& stream, void* to, const void* from, std::size_t bytes);
void zero_bytes(Stream& stream, void* to, std::size_t bytes);
/// Copies from host memory. It may change once the call returns; on a thread stream, once the stream has reached the copy.
void copy_to_device(Stream& stream, void* to, const void* from, std::size_t bytes);
/// Copies to host memory; the result is there after the stream has been synchronised.
void copy_to_host(Stream& stream, void* to, const void* from, std::size_t bytes);

/// Owns `size` elements of device memory; move-only.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device device, std::size_t size)
      : device_(device), data_(size ? static_cast<T*>(pool_allocate(device, size * sizeof(T))) : nullptr), size_(size) {}
  Buffer(Buffer&& other) noexcept
      : device_(other.device_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_) pool_free(device_, data_);
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  Device device_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace expunge
