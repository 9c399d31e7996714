# Debian 12, x86_64 or aarch64. `make demo` and `make test` install what is missing first; see tools/setup.sh.

.PHONY: help setup build demo test lint bench soak contract-check deny docs deb deb-test arm64 arm64-domain image image-test

CARGO ?= cargo

# .cargo/config.toml holds the paths of x86_64; a variable that is set already wins over both.
ARCH := $(shell uname -m)
ifneq ($(ARCH),x86_64)
export OPENCV_LINK_PATHS ?= /usr/lib/$(ARCH)-linux-gnu
export OPENCV_INCLUDE_PATHS ?= /usr/include/opencv4,/usr/include/$(ARCH)-linux-gnu/opencv4
endif

help:
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: ## install what is missing to build and run
	tools/setup.sh build

build: setup ## the program, target/release/forecourt
	$(CARGO) build --locked --release

demo: build ## a drawn clip through the whole program, events read back from a broker in the process
	target/release/forecourt demo

test: ## every test, with cameras and brokers that are really there, and again without OpenCV and ONNX Runtime
	tools/setup.sh test
	$(CARGO) test --locked
	$(CARGO) test --locked --no-default-features

lint: setup ## formatting and clippy
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings

bench: setup ## what docs/benchmarks.md holds
	$(CARGO) bench --locked --bench '*'

soak: ## the fault tests of delivery and platform at full length: broker, network and program are killed again and again; hours
	tools/setup.sh test
	FORECOURT_SOAK=1 $(CARGO) test --locked --test delivery --test platform --test provision -- --nocapture --test-threads 1

contract-check: ## the contract by validators that are not ours, its consumers in Python and Node, on SQLite and PostgreSQL
	tools/setup.sh contract
	node tools/asyncapi/validate.mjs contract/asyncapi.yaml
	$(CARGO) test --locked --test contract --test consumers -- --nocapture

deny: ## licences, origins and known holes of what is used
	tools/deny.sh

docs: setup ## write docs/configuration.md and firmware-config/forecourt.toml anew from the types
	FORECOURT_WRITE=1 $(CARGO) test --locked --test documents

deb: build ## the Debian package, dist/forecourt_*.deb; needs cargo-deb
	packaging/deb.sh

deb-test: deb ## the package in a Debian 12 of its own, with a real systemd; as root
	packaging/deb-test.sh "$$(ls -t dist/forecourt_*.deb | head -1)"

arm64: ## the program for 64-bit ARM, target/aarch64-unknown-linux-gnu/release/forecourt; see docs/distributor.md
	packaging/arm64.sh

arm64-domain: ## the tests of src/domain for 64-bit ARM under qemu-user, NEON included
	packaging/arm64-domain.sh

image: deb ## an A/B disk image and a signed update bundle, dist/forecourt-VERSION-ARCH.{img,raucb}; see docs/distributor.md
	packaging/image/build.sh "$$(ls -t dist/forecourt_*.deb | head -1)"

image-test: ## updates with the real RAUC: wrong key, cut short, older, power cut; as root
	packaging/image/test.sh
