# Every target works on a fresh machine with Go. See CONTRIBUTING.md.
SHELL   := /bin/bash
GOBIN   := $(CURDIR)/.tools
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO      := go
export PATH := $(GOBIN):$(PATH)

BUF_VERSION           := v1.66.0
PROTOC_GEN_GO         := v1.36.12
PROTOC_GEN_GO_GRPC    := v1.6.2
GOLANGCI_VERSION      := v2.15.0
GOVULNCHECK_VERSION   := v1.1.4

.PHONY: help build run test lint bench proto oui docs fuzz clean tools

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/posture.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/posture ./cmd/posture

run: build ## Run Posture for a simulated company, and say what to try.
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/demo ./internal/demo
	@bin/demo

test: ## Run all tests; what is missing is installed or named.
	@scripts/test.sh

lint: ## Run every linter.
	@scripts/lint.sh

bench: build ## Measure, beside a bare client doing the same calls.
	@scripts/bench.sh

proto: ## Generate the plugin protocol's Go code anew.
	GOBIN=$(GOBIN) $(GO) install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
	GOBIN=$(GOBIN) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO)
	GOBIN=$(GOBIN) $(GO) install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC)
	cd plugins/sdk/proto && buf lint && buf generate

oui: ## Renew the table of MAC prefixes; needs the network. See docs/mac-prefixes.md.
	sh transforms/ouigen/renew.sh

docs: build ## Generate docs/configuration.md and the editor's schema anew.
	bin/posture config reference > docs/configuration.md
	bin/posture config schema > docs/posture.schema.json

fuzz: ## Fuzz every parser of outside data, 20 s each.
	@scripts/fuzz.sh 20s

clean: ## Remove what was built.
	rm -rf bin .demo coverage.out
