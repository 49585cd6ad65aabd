# What a developer does with this repository. CI runs `make lint` and `make test`, nothing else.

.DEFAULT_GOAL := help
.PHONY: help demo build test otel soak lint fmt generate picture newcomer bench bench-page deb upgrade tools checks

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Open three tasks in a real browser and watch how each ends
	@demo/run.sh

build: ## Build the program as it is shipped: target/release/comet-task-runner
	cargo build --release --locked

test: tools ## Run every test, after installing what they need where that is allowed
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-3} cargo test --locked
	@tests/clients.sh

otel: ## Check and try the program with tracing in it, against a collector of its own
	cargo clippy --locked --all-targets --features otel -- -D warnings
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-3} cargo test --locked --features otel --test it otel::

soak: tools ## Launch 600 real browsers, kill half of them at random moments, and look for anything that is left; picture tasks in every state twenty times
	COMET_TASK_RUNNER_SOAK_ROUNDS=$${COMET_TASK_RUNNER_SOAK_ROUNDS:-300} cargo test --locked --test it soak:: -- --nocapture
	COMET_TASK_RUNNER_CAPTURE_ROUNDS=$${COMET_TASK_RUNNER_CAPTURE_ROUNDS:-20} cargo test --locked --test it screenshot_states:: -- --nocapture

lint: checks ## Check format, code, documentation, contract, clients, and whether what is generated is what its sources make
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
	cargo check --locked --features otel
	@for check in proto/check.sh clients/*/check.sh; do echo "$$check"; "$$check" || exit 1; done

fmt: ## Format the code
	cargo fmt

generate: checks ## Make anew all that is generated: clients' code, the page's files, the references in docs/
	@for check in proto/check.sh clients/web/check.sh clients/node/check.sh clients/python/check.sh; do echo "$$check --write"; "$$check" --write || exit 1; done
	@mkdir -p docs target
	cargo run --locked --quiet -- reference metrics >target/metrics.md && mv target/metrics.md docs/metrics.md
	cargo run --locked --quiet -- reference configuration >target/configuration.md && mv target/configuration.md docs/configuration.md

picture: tools ## Make the README's pictures of the page anew, from real tasks
	cargo build --locked
	docs/picture.sh

newcomer: ## Follow the README in a clone of its own, and time each step
	tests/newcomer.sh

bench: ## Measure beside the floor; writes target/bench/results.json
	cargo bench --locked --bench side_by_side

bench-page: checks ## Measure the page with 5,000 tasks beside an empty page
	clients/web/bench/run.sh

deb: build ## Make a Debian package: target/deb/comet-task-runner_VERSION_ARCHITECTURE.deb
	@mkdir -p target/deb
	@packaging/deb/build.sh target/release/comet-task-runner target/deb

upgrade: ## Try an upgrade with tasks that run, from the program of OLD (the newest tag, or the commit before this one)
	tests/upgrade.sh $(OLD)

tools:
	@tests/install.sh all

checks:
	@tests/install.sh checks
