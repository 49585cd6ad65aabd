# What a developer does with this repository. CI runs `make lint` and `make test`, nothing else.

.DEFAULT_GOAL := help
.PHONY: help demo build test soak lint fmt page bench bench-page tools

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Open three tasks in a real browser and watch how each ends
	@demo/run.sh

build: ## Build the program as it is shipped: target/release/comet-task-runner
	cargo build --release --locked

test: tools ## Run every test, after installing what they need where that is allowed
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-3} cargo test --locked
	clients/web/test.sh

soak: tools ## Launch 600 real browsers, kill half of them at random moments, and look for anything that is left; picture tasks in every state twenty times
	COMET_TASK_RUNNER_SOAK_ROUNDS=$${COMET_TASK_RUNNER_SOAK_ROUNDS:-300} cargo test --locked --test it soak:: -- --nocapture
	CAPTURE_ROUNDS=20 cargo test --locked --test it screenshot_states:: -- --nocapture

lint: proto/node_modules/.package-lock.json ## Check format, code, contract and the page's built files
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cd proto && npx --no-install buf lint
	clients/web/check.sh

fmt: ## Format the code
	cargo fmt

page: ## Make the page's generated code and built files anew, after a change of its sources or of the contract
	@tests/install.sh npm
	clients/web/check.sh --write

bench: ## Measure beside the floor; writes target/bench/results.json
	cargo bench --locked --bench side_by_side

bench-page: ## Measure the page with 5,000 tasks beside an empty page
	@tests/install.sh npm
	clients/web/bench/run.sh

tools:
	@tests/install.sh all

proto/node_modules/.package-lock.json: proto/package-lock.json
	@tests/install.sh npm
	cd proto && npm ci --no-audit --no-fund
	@touch $@
