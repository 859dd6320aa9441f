# Shortcuts over meson and tools/. BUILD names the build directory.
BUILD ?= build
export BUILD
FERRY = $(BUILD)/src/cmd/ferry

.PHONY: all demo check test test-kernels fuzz asan tsan nouring bench format clean help

all: $(BUILD)/build.ninja ## build
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

demo: ## install what a build needs, build, and show it
	tools/setup build
	$(MAKE) all
	tools/demo $(FERRY)

check: all ## the fast tests, for every change
	meson test -C $(BUILD) --suite check --print-errorlogs

test: ## install what the tests need and run everything (up to an hour)
	tools/test-all

test-kernels: ## the Linux host of each kernel in a guest
	tools/test-all gcc kernels

fuzz: ## each fuzz target for FUZZ_SECONDS
	tools/test-all fuzz

asan: ## the fast tests with AddressSanitizer and UBSan
	tools/test-all asan

tsan: ## the fast tests with ThreadSanitizer
	tools/test-all tsan

nouring: ## what uses files, where io_uring is refused
	tools/test-all nouring

bench: all ## measure; see bench/
	bench/run $(FERRY)

format: ## format the C files
	tools/format

clean: ## remove every build directory
	rm -rf $(BUILD) $(BUILD)-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile
