# The two commands: `make demo` and `make test`. Everything else here is a part of one of them, or for those who change things.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# `make demo ONCE=1` plays the demonstration and exits, non-zero if a step failed.
ONCE ?=
DEMO_FLAGS := $(if $(ONCE),--once)

# Stacks that are not ours are used by one test at a time.
TEST_THREADS := $(if $(SUPABASE_URL),-- --test-threads=1)

# Always the whole workspace: Cargo picks features by what is built together, and the PostgREST stand-in takes minutes.
BUILD := cargo build --workspace
BUILT := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug
DEVSTACK := $(BUILT)/devstack
# Built alone: whoever looks after a deployment need not wait for a local stack.
DOCTOR := $(BUILT)/doctor

.PHONY: help
help: ## What there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: dashboard ## Boots the local stack with drift in it, repairs it before your eyes, stays up (ONCE=1: exits)
	@scripts/setup.sh demo
	@$(BUILD) --quiet
	@$(DEVSTACK) demo --no-build $(DEMO_FLAGS)

.PHONY: test
test: setup-test test-rust test-sql test-dashboard ## Every test

.PHONY: setup-test
setup-test:
	@scripts/setup.sh test

.PHONY: test-rust
test-rust: dashboard ## Units, properties, and the real function binaries on local stacks
	$(BUILD)
	cargo test --workspace $(TEST_THREADS)

.PHONY: test-sql
test-sql: ## pgTAP: structure, outcomes, access, upgrades, and mutants of them all
	scripts/test-sql.sh --own-cluster

.PHONY: test-dashboard
test-dashboard: dashboard ## Units of the dashboard, then a real browser against a real stack
	$(BUILD)
	npm --prefix dashboard run check
	npm --prefix dashboard run test
	DEVSTACK_BIN=$(DEVSTACK) npm --prefix dashboard run e2e

# Built when a source is newer than what was built.
DASHBOARD_SOURCES := $(shell find dashboard -type f -not -path '*/node_modules/*' -not -path '*/test-results/*' 2>/dev/null)

.PHONY: dashboard
dashboard: public/index.html ## The dashboard, built into public/

public/index.html: $(DASHBOARD_SOURCES)
	@scripts/setup.sh demo
	npm --prefix dashboard ci --no-audit --no-fund --loglevel=error
	npm --prefix dashboard run build --silent
	@touch $@

.PHONY: lint
lint: ## Formatting, clippy, and the linters of the SQL
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/lint-sql.sh

.PHONY: package
package: ## What Vercel would deploy, built and held against what it should be
	scripts/package.sh

.PHONY: doctor
doctor: ## What is right and wrong with a deployment's settings (ENV=FILE: those in the file), database and Stripe key (TEST_NOTIFICATIONS=1: and a test to each channel)
	@cargo build --quiet -p doctor
	@$(DOCTOR) $(if $(ENV),--env "$$ENV") $(if $(TEST_NOTIFICATIONS),--test-notifications)

.PHONY: smoke
smoke: ## Checks the deployment at URL=… from outside (ENV=FILE: with the secrets in the file)
	@cargo build --quiet -p doctor
	@$(DOCTOR) --deployment "$$URL" $(if $(ENV),--env "$$ENV")

.PHONY: install
install: ## Writes one migration into the folder of the app at APP=…, which pushes it like its own
	@scripts/install.sh "$$APP"

.PHONY: openapi
openapi: ## Writes public/openapi.json anew from the code
	UPDATE_OPENAPI=1 cargo test --quiet -p billing-ops --lib openapi
