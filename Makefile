# What a developer does with this repository. CI runs `make lint` and `make test`, nothing else.

.DEFAULT_GOAL := help
.PHONY: help demo build test otel soak lint fmt page docs bench deb upgrade tools

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Open three tasks in a real browser and watch how each ends
	@demo/run.sh

build: ## Build the program as it is shipped: target/release/comet-task-runner
	cargo build --release --locked

test: tools ## Run every test, after installing what they need where that is allowed
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-3} cargo test --locked
	clients/web/test.sh

otel: ## Check and try the program with tracing in it, against a collector of its own
	cargo clippy --locked --all-targets --features otel -- -D warnings
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-3} cargo test --locked --features otel --test it otel::

soak: tools ## Launch 600 real browsers, kill half of them at random moments, and look for anything that is left; picture tasks in every state twenty times
	COMET_TASK_RUNNER_SOAK_ROUNDS=$${COMET_TASK_RUNNER_SOAK_ROUNDS:-300} cargo test --locked --test it soak:: -- --nocapture
	CAPTURE_ROUNDS=20 cargo test --locked --test it screenshot_states:: -- --nocapture

lint: proto/node_modules/.package-lock.json ## Check format, code, contract and the page's built files
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo check --locked --features otel
	cd proto && npx --no-install buf lint
	clients/web/check.sh

fmt: ## Format the code
	cargo fmt

page: ## Make the page's generated code and built files anew, after a change of its sources or of the contract
	@tests/install.sh npm
	clients/web/check.sh --write

docs: ## Write docs/metrics.md and docs/configuration.md anew, from the program's own tables
	@mkdir -p docs
	cargo run --locked --quiet -- reference metrics >target/metrics.md && mv target/metrics.md docs/metrics.md
	cargo run --locked --quiet -- reference configuration >target/configuration.md && mv target/configuration.md docs/configuration.md

bench: ## Measure beside the floor; writes target/bench/results.json
	cargo bench --locked --bench side_by_side

deb: build ## Make a Debian package: target/deb/comet-task-runner_VERSION_ARCHITECTURE.deb
	@mkdir -p target/deb
	@packaging/deb/build.sh target/release/comet-task-runner target/deb

upgrade: ## Try an upgrade with tasks that run, from the program of OLD (the newest tag, or the commit before this one)
	tests/upgrade.sh $(OLD)

tools:
	@tests/install.sh all

proto/node_modules/.package-lock.json: proto/package-lock.json
	@tests/install.sh npm
	cd proto && npm ci --no-audit --no-fund
	@touch $@
