# Everything a user or a developer does here. `make help` lists it.
.DEFAULT_GOAL := build
SHELL         := /bin/sh
UNIT           = $$(go list ./... | grep -v /e2e)

# What the tests run beside our own programs, as Debian calls it.
PACKAGES := bird2 frr keepalived nginx haproxy iproute2 nftables curl wrk iperf3 tcpdump ethtool socat iputils-ping procps gcc libc6-dev

DEMO_ROUTER ?= embedded# or bird, frr: the real one, installed if need be
FUZZTIME    ?= 30s#        for each target of `make fuzz`
SOAK        ?= 10m#        how long `make soak` goes on
OUT         ?= bin/bench#  where `make bench` writes; BENCH="-quick -only REGEXP" are its options
PKGS        ?= ./session ./fullnat/... ./gossip/...# for `make bench-process`, with COUNT runs of each of
COUNT       ?= 6
BENCHES     ?= .

build: ## static binaries: bin/fleetlbd and bin/fleetlb
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

deps: ## install what the tests run (Debian, root; skipped when there)
	@sh .ci/deps $(PACKAGES)

demo: build ## see it work on this machine: root, or a user namespace; KEEP=1 to look around
	@case "$(DEMO_ROUTER)" in bird) sh .ci/deps bird2;; frr) sh .ci/deps frr;; esac
	@CGO_ENABLED=0 go build -trimpath -o bin/fleetlb-demo ./e2e/demo
	@DEMO_ROUTER="$(DEMO_ROUTER)" KEEP="$(KEEP)" bin/fleetlb-demo

test: deps lint unit race e2e ## prove it: all of the below

lint: ## vet and staticcheck
	go vet ./...
	go tool staticcheck ./...

unit: ## unit tests and the seeds of every fuzz target
	go test $(UNIT)

race: ## the same under the race detector
	CGO_ENABLED=1 go test -race -short $(UNIT)

e2e: ## stories in network namespaces, with real routers, servers and clients (root)
	go test -count=1 -p 1 -timeout 20m ./e2e/...

fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $(UNIT); do for target in $$(go test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; done; done

soak: ## one fleet under load and faults for SOAK (root)
	SOAK=$(SOAK) go test -count=1 -run '^TestSoak$$' -timeout 0 -v ./e2e

fleet: build ## every fault with both routers, 10,000 connections, as long as it takes (root)
	FLEET=10000 go test -count=1 -run '^(TestFleet|TestResilient)$$' -timeout 0 -v ./e2e

bench: deps ## fleetlb beside its peers, in ten minutes: a table, and a picture in OUT (root)
	go run ./e2e/bench -out $(OUT) $(BENCH)

bench-process: ## what `go test -bench` measures; OLD=FILE: what changed since
	@mkdir -p $(OUT)
	go test -pgo cmd/fleetlbd/default.pgo -run '^$$' -bench $(BENCHES) -benchmem -count $(COUNT) -timeout 0 $(PKGS) >$(OUT)/process.txt || { cat $(OUT)/process.txt; exit 1; }
	go tool benchstat $(OLD) $(OUT)/process.txt

clean: ## remove what was built
	rm -rf bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build deps demo test lint unit race e2e fleet fuzz soak bench bench-process clean help
