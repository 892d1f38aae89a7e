# `make demo` shows it, `make test` proves it, `make lint` keeps it tidy. Everything else is cargo.
CARGO ?= cargo
export CARGO

.PHONY: build install uninstall deb tarball reference demo demo-gvisor test fuzz sanitize miri reproducible e2e-gvisor e2e-engines e2e-profiles lint bench bench-short bench-gvisor setup

build:
	$(CARGO) build --workspace --locked

# Static programs, manual pages, completions, profiles and documents, below PREFIX; DESTDIR comes before it: docs/packages.md.
PREFIX ?= /usr/local
DESTDIR ?=
install:
	tree=$$(scripts/package.sh tree) && PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' "$$tree/install.sh" install

uninstall:
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' packaging/install.sh uninstall

# The same as a Debian package, and as a tarball with an install.sh, in target/packages.
deb:
	scripts/package.sh deb

tarball:
	scripts/package.sh tarball

# docs/reference, from the programs' command lines and the schema; `make test` compares.
reference:
	$(CARGO) run --quiet --locked --package procemu-packaging -- reference docs/reference

# What the tests and the demo need and this machine lacks.
setup:
	scripts/setup.sh test

demo:
	scripts/setup.sh test
	scripts/demo.sh

# A one-node Kubernetes cluster in a gVisor sandbox, without us and with us.
demo-gvisor:
	scripts/setup.sh test gvisor
	scripts/demo-gvisor.sh

# `scripts/test.sh --test runtimes cap_last_cap` runs one file's tests by name.
test:
	scripts/setup.sh test
	scripts/test.sh

# What the corpus test of `make test` is for, with new inputs for SECONDS_EACH seconds per target: `make fuzz SECONDS_EACH=3600`.
# `scripts/fuzz.sh table key` takes some of the targets.
SECONDS_EACH ?= 60
export SECONDS_EACH
fuzz:
	scripts/setup.sh fuzz
	scripts/fuzz.sh

# Unsafe code, ours and the libraries', where a compiler can watch it: docs/security.md.
sanitize:
	scripts/sanitize.sh

# The same by Miri, which takes a nightly Rust with the component `miri`.
miri:
	scripts/miri.sh

# Two builds in two folders give the same programs.
reproducible:
	scripts/reproducible.sh

# Inside a real gVisor, which is built first where Go >= 1.26 is: docs/gvisor.md.
e2e-gvisor:
	scripts/setup.sh test gvisor
	$(CARGO) test --no-run --workspace --features procemu-tests/gvisor --locked
	scripts/test.sh --features procemu-tests/gvisor $(patsubst tests/gvisor/%.rs,--test gvisor_%,$(wildcard tests/gvisor/*.rs))

# With real engines, each on a machine of its own: docs/engines.md.
e2e-engines:
	scripts/setup.sh test engines
	scripts/test.sh --features procemu-tests/engines $(patsubst tests/engines/%.rs,--test engines_%,$(wildcard tests/engines/*.rs))

# The profiles of large programs, Chromium's and podman's: docs/profiles.md; and what a browser makes of a report: docs/output.md.
e2e-profiles:
	scripts/setup.sh test profiles
	scripts/test.sh --features procemu-tests/profiles --test profiles_large --test report_page

lint:
	scripts/setup.sh lint
	scripts/own-code.sh
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	scripts/msrv.sh
	$(CARGO) deny --workspace --log-level error check licenses bans sources
	$(CARGO) deny --manifest-path fuzz/Cargo.toml --config deny.toml --log-level error check licenses bans sources

# What all of it costs, beside what others take in our place: docs/performance.md. 5 minutes; the figures there are from it.
bench:
	scripts/setup.sh test bench
	$(CARGO) bench --workspace --bench speed --locked -- --programs "$$(scripts/static.sh --release)" --json target/bench.json --page docs/performance-figures.md

# A few rounds with what `make test` has built, to see that it works; its figures mean nothing.
bench-short:
	scripts/setup.sh test bench
	$(CARGO) build --workspace --locked
	$(CARGO) test --workspace --bench speed --locked -- --short --json target/bench-short.json --page target/bench-short.md

# Some of it inside a real gVisor: docs/gvisor.md.
bench-gvisor:
	scripts/setup.sh test gvisor
	$(CARGO) build --release --workspace --locked
	scripts/bench-gvisor.sh
