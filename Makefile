# `make demo` shows the thing working, `make test` tests it, `make check` is what CI runs. Each installs what it needs on
# Debian and Ubuntu, and says what is missing elsewhere. Needed beforehand: Rust (rustup) and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A shell older than the rustup installation does not have cargo in its path yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
CARGO ?= cargo
export CARGO
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
VENV := .venv

# The dev profile, for the demo too: it shares every compiled dependency with the tests, and its first result comes in a
# third of the time. Durations in the demo's table are therefore those of an unoptimised build.
POSTERN := $(TARGET)/debug/postern

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Build Postern and tour it: what is let through, what is refused, and the proof
	@$(POSTERN) demo

.PHONY: test
test: test-rust sdk ## Rust tests, then the clients of the field through a running Postern

.PHONY: check
check: ## Everything CI runs, with times and counts
	@scripts/check

.PHONY: test-full
test-full: need ## The long suites: more property cases, the dependency rules broken on purpose, TLS, logins, grid, storm and soak
	@scripts/need redis
	@POSTERN_REQUIRE_REDIS=1 POSTERN_TEST_FULL=1 PROPTEST_CASES=$${PROPTEST_CASES:-2000} PROPTEST_MAX_GLOBAL_REJECTS=100000 scripts/test-rust
	@$(MAKE) sdk deny-self-test mutants hostile tls oidc grid readers storm soak

# Parts of the above

.PHONY: need
need:
	@scripts/need build

.PHONY: mutants
mutants: need ## Every guard and every extractor made to do nothing, one at a time: a test must notice
	@scripts/mutants

.PHONY: build
build: need ## The dev binary, target/debug/postern
	@$(CARGO) build --locked --package postern-proxy --bin postern

.PHONY: release
release: need ## The optimised binary, target/release/postern
	@$(CARGO) build --locked --release --package postern-proxy --bin postern

.PHONY: test-rust
test-rust: need ## Rust tests only
	@scripts/need redis || [ -z "$$POSTERN_REQUIRE_REDIS" ]
	@scripts/test-rust

# Only our crate is optimised, over the compiled dependencies of the tests: a profile of its own would compile all of them again.
.PHONY: splits
splits: need ## Streams cut at every byte and pair of bytes, texts at every character and pair: three million cases
	@POSTERN_SPLITS=all $(CARGO) test --locked --workspace --test splits \
	  --config profile.dev.package.postern-filters.opt-level=3 \
	  --config profile.dev.package.postern-filters.debug-assertions=false -- --nocapture

# Built as for `splits`: what measures and what is measured are optimised, nothing else.
MEASURED := --config profile.dev.package.postern-filters.opt-level=3 \
  --config profile.dev.package.postern-filters.debug-assertions=false \
  --config profile.dev.package.postern-model.opt-level=3

.PHONY: model
model: need ## The classifier of injections from the corpora: weights, digest and model card, the same every time
	@$(CARGO) run --locked --package postern-model $(MEASURED) -- train

.PHONY: detection detection-check
detection: need ## How well the detectors do, measured and written: docs/detection.md, its floors and the README's table
	@MEASURED="$(MEASURED)" scripts/detection report $(DETECTION)

detection-check: need ## Do the detectors do as well as was recorded?
	@MEASURED="$(MEASURED)" scripts/detection check

.PHONY: sdk
sdk: build $(VENV)/ready ## The SDKs of OpenAI, Anthropic and Google, and gRPC, as clients through mTLS
	@$(VENV)/bin/python load-tests/sdk/run.py --postern $(POSTERN)

.PHONY: grid grid-short
grid: build $(VENV)/ready ## What policy saw is what five servers got: some thousand odd requests
	@scripts/need grid
	@$(VENV)/bin/python load-tests/grid/run.py --postern $(POSTERN) $(GRID)

grid-short: GRID := --cases 390
grid-short: grid

.PHONY: readers readers-short
readers: build $(VENV)/ready ## What policy saw of a body is what Python, Node and Go read of it: twenty thousand odd bodies
	@scripts/need readers
	@$(VENV)/bin/python load-tests/readers/run.py --postern $(POSTERN) $(READERS)

readers-short: READERS := --cases 660
readers-short: readers

.PHONY: storm storm-short
storm: build $(VENV)/ready ## Floods, slow clients and idle connections, with an honest client beside: a quarter of an hour
	@scripts/need storm
	@$(VENV)/bin/python load-tests/storm/run.py --postern $(POSTERN) $(STORM)

storm-short: STORM := --short
storm-short: storm

.PHONY: soak soak-short
soak: build $(VENV)/ready ## Ten minutes of mixed load while policy, certificate and upstream change
	@scripts/need storm
	@$(VENV)/bin/python load-tests/soak/run.py --postern $(POSTERN) $(SOAK)

soak-short: SOAK := --seconds 30
soak-short: soak

.PHONY: oidc
oidc: build $(VENV)/ready load-tests/oidc/node_modules/.ready ## An OpenID Connect provider, curl and Chromium: tokens, rotation, login and logout
	@scripts/need oidc
	@$(VENV)/bin/python load-tests/oidc/run.py --postern $(POSTERN)

load-tests/oidc/node_modules/.ready: load-tests/oidc/package-lock.json
	@scripts/need oidc
	@cd load-tests/oidc && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: tls
tls: build $(VENV)-tls/ready ## What sslyze sees of listeners: versions, suites, resumption, known holes
	@scripts/need tls
	@$(VENV)-tls/bin/python load-tests/tls/run.py --postern $(POSTERN)

# sslyze brings much with it, and nothing else needs it.
$(VENV)-tls/ready: load-tests/tls/requirements.txt
	@scripts/need python
	@python3 -m venv --clear $(VENV)-tls
	@$(VENV)-tls/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(VENV)/ready: load-tests/sdk/requirements.txt load-tests/requirements.txt
	@scripts/need python
	@python3 -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes $(addprefix --requirement ,$^)
	@touch $@

.PHONY: demo-check
demo-check: build ## The demo in its checking form: every row is what the manifests promise
	@scripts/need python
	@$(POSTERN) demo --json | python3 scripts/demo-rows

.PHONY: fmt
fmt: ## Format the Rust code
	@$(CARGO) fmt --all

.PHONY: fmt-check
fmt-check: ## Is the Rust code formatted?
	@$(CARGO) fmt --all -- --check

.PHONY: lint
lint: need ## Clippy, warnings are errors
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: docs
docs: need ## The Rust documentation, warnings are errors
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

.PHONY: deny
deny: need ## Licences, crate arrows, sources, advisories (deny.toml)
	@scripts/deny check

.PHONY: deny-self-test
deny-self-test: need
	@scripts/deny self-test

.PHONY: words
words: ## Nothing unfinished, no machine's paths
	@scripts/words

.PHONY: fuzz-check
fuzz-check: need ## Do the fuzz targets compile?
	@$(CARGO) check --locked --manifest-path fuzz/Cargo.toml --target-dir $(TARGET)/fuzz

.PHONY: hostile
hostile: need ## What texts cost that were made to be slow: fails where a detector's time grows with more than the length
	@$(CARGO) bench --locked --package postern-filters --bench hostile

.PHONY: streams
streams: release $(VENV)/ready ## What a stream costs: time to its first event, processor time of each, memory of a thousand open ones
	@scripts/need readers
	@$(VENV)/bin/python load-tests/streams/run.py --postern $(TARGET)/release/postern $(STREAMS)
	@$(CARGO) bench --locked --package postern-filters --bench streams

.PHONY: callgrind
callgrind: release ## Instructions per request of the plain route with the whole chain
	@scripts/need python valgrind
	@python3 load-tests/callgrind/run.py --postern $(TARGET)/release/postern
