# A thin front door over CMake; `make help` lists the targets.
BUILD := build
BUILD_DEV := build-dev
BUILD_ASAN := build-asan
BUILD_FUZZ := build-fuzz
BUILD_TIDY := build-tidy
FUZZ_SECONDS := 60
# Sections of the benchmark, all without a name, and turns of each contestant.
ONLY :=
ROUNDS := 5
BUILD_BUNDLE := build-bundle
# The GPUs that the bundle runs on, where nvcc is found.
BUNDLE_ARCH := 80-real;90
# ON: with the tests and the benchmark for a GPU, and the tools that these call.
BUNDLE_TESTS := OFF
bundled = $(BUILD_BUNDLE)/expunge $(if $(filter ON,$(BUNDLE_TESTS)),$(BUILD_BUNDLE)/tests/cuda/cuda_kernels_test $(BUILD_BUNDLE)/tests/cuda/cuda_shared_gpu_test \
	$(BUILD_BUNDLE)/tests/bench/expunge_bench $$(which h5dump h5diff h5ls spm_train))
JOBS := $(shell nproc)
# What it needs to know precompiled headers.
CCACHE := $(shell command -v ccache)
by_ccache = "-DCMAKE_CXX_COMPILER_LAUNCHER=env;CCACHE_SLOPPINESS=pch_defines,time_macros;$(CCACHE)" -DCMAKE_CXX_FLAGS=-fpch-preprocess
# Where `make install` puts the program, scripts and configs; DESTDIR stands before it where a package is made.
PREFIX := /usr/local
# Warnings are errors in continuous integration only: other compilers may warn about more.
WERROR := $(if $(CI),ON,OFF)
SOURCES = $(shell find include src tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

# Open MPI refuses to start as root, as it is in a container, unless told twice.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1

.NOTPARALLEL:
.DEFAULT_GOAL := all
.PHONY: all dev install demo bundle test test-long bench asan fuzz format format-check tidy install-packages install-cluster-packages clean help

# configure FOLDER,OPTIONS: the generator is chosen at first (Ninja where there is one) and kept.
configure = test -f $(1)/CMakeCache.txt || generator=$$(command -v ninja >/dev/null && echo Ninja || echo "Unix Makefiles"); \
	cmake -S . -B $(1) $${generator:+-G "$$generator"} -DEXPUNGE_WERROR=$(WERROR) $(2)

all: ## Build the release executable, build/expunge
	@$(call configure,$(BUILD),)
	@cmake --build $(BUILD) --target expunge -j $(JOBS)

dev: install-packages ## Build program and tests in build-dev file by file, so that an edit compiles little; for the CPU, by ccache where it is
	@$(call configure,$(BUILD_DEV),-DCMAKE_UNITY_BUILD=OFF -DEXPUNGE_CUDA=OFF $(if $(CCACHE),$(by_ccache)))
	@cmake --build $(BUILD_DEV) -j $(JOBS)

install: all ## Put the program, scripts, configs and a module file below PREFIX
	@cmake --install $(BUILD) --prefix "$$(realpath --canonicalize-missing "$(PREFIX)")"

bundle: ## Build build-bundle/expunge-bundle.tar.xz, which runs on Linux machines without these packages
	@$(call configure,$(BUILD_BUNDLE),-DEXPUNGE_TESTS=$(BUNDLE_TESTS) "-DCMAKE_CUDA_ARCHITECTURES=$(BUNDLE_ARCH)")
	@cmake --build $(BUILD_BUNDLE) --target expunge $(if $(filter ON,$(BUNDLE_TESTS)),cuda_kernels_test cuda_shared_gpu_test expunge_bench) -j $(JOBS)
	@.ci/bundle.sh $(BUILD_BUNDLE)/expunge-bundle $(bundled)

demo: install-packages all ## Train a small model, make it forget, show before and after (installs what is missing)
	@data/demo.sh $(BUILD)/expunge

test: install-packages $(if $(CI),install-cluster-packages) ## Build and run the tests (installs what is missing)
	@$(call configure,$(BUILD),)
	@cmake --build $(BUILD) -j $(JOBS)
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j $(JOBS) -LE long

test-long: install-packages $(if $(CI),install-cluster-packages) ## Build and run the long tests
	@$(call configure,$(BUILD),)
	@cmake --build $(BUILD) -j $(JOBS)
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j $(JOBS) -L long

bench: install-packages ## Measure speed and memory, beside PyTorch where PYTHON has it (ONLY="step-288 tiny": some sections)
	@$(call configure,$(BUILD),)
	@cmake --build $(BUILD) -j $(JOBS) --target expunge_bench
	@$(BUILD)/tests/bench/expunge_bench $(if $(ONLY),--only $(ONLY)) --rounds $(ROUNDS)

asan: install-packages ## Build with AddressSanitizer and UBSan in build-asan, and run the tests of one process
	@$(call configure,$(BUILD_ASAN),-DEXPUNGE_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo)
	@cmake --build $(BUILD_ASAN) -j $(JOBS)
	@ASAN_OPTIONS=detect_leaks=0 ctest --test-dir $(BUILD_ASAN) --output-on-failure --no-tests=error -j $(JOBS) -LE long -E '_ranks$$|^slurm_'

fuzz: install-packages ## Fuzz every reader of files for FUZZ_SECONDS each, in build-fuzz (libFuzzer)
	@.ci/install_packages.sh clang-16 libclang-rt-16-dev libomp-16-dev
	@tests/fuzz/fuzz.sh $(BUILD_FUZZ) $(FUZZ_SECONDS)

format: ## Format the sources with clang-format
	@.ci/install_packages.sh clang-format
	@clang-format -i $(SOURCES)

format-check: ## Fail where clang-format would change something
	@.ci/install_packages.sh clang-format
	@clang-format --dry-run --Werror $(SOURCES)

tidy: install-packages ## Check the sources with clang-tidy
	@.ci/install_packages.sh clang-tidy
	@$(call configure,$(BUILD_TIDY),-DCMAKE_UNITY_BUILD=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON)
	@run-clang-tidy -quiet -p $(BUILD_TIDY) -j $(JOBS) "$(CURDIR)/src/.*"

install-packages: ## Install the packages that are missing (apt-get; sudo only when not root)
	@.ci/install_packages.sh

# In continuous integration only: on other machines the tests that need them say so and are skipped.
install-cluster-packages: ## Install what the tests of slurm/ need: Slurm, MUNGE, shellcheck; strace; qemu-user
	@.ci/install_packages.sh slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge iproute2 shellcheck strace qemu-user

clean: ## Remove the builds and what the demo made
	rm -rf $(BUILD) $(BUILD_DEV) $(BUILD_ASAN) $(BUILD_FUZZ) $(BUILD_TIDY) $(BUILD_BUNDLE) $$(test ! -f demo/.expunge-demo || echo demo)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-25s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
