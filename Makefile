# Thin on purpose: each target is one command that can be run by hand as well.
STACK ?= dev
LAB ?= dev
TIERS ?= unit preview lab
# toolchain/run takes the backend and the passphrase by the stack.
export STACK

flags = $(if $(YES),--yes) $(if $(FORCE),--force)

.DEFAULT_GOAL := help
.PHONY: help setup up preview down adopt shell status collect new-stack test lint bench reference lock

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
	@echo "Settings: STACK=dev (the lab on this machine; any other: your own hosts), YES=1 (no questions on your"
	@echo "own stacks), LAB=dev (another name: a second lab on one machine), FORCE=1 (drop dev without its hosts)."

setup: ## get the toolchain; the other targets do it by themselves
	@toolchain/setup

up: setup ## everything, down to the proof that a pull came through the mirror
	@toolchain/run python -m toolchain.stack up $(STACK) --lab $(LAB) $(flags)

preview: setup ## what `make up` would change (COMMENT=file: as a pull request would show it)
	@toolchain/run python -m toolchain.stack preview $(STACK) --lab $(LAB) $(if $(COMMENT),--comment $(COMMENT))

down: setup ## destroy the stack; for dev remove the lab as well
	@toolchain/run python -m toolchain.stack down $(STACK) --lab $(LAB) $(flags)

adopt: setup ## look at mirrors made by hand: what is wrong, and the stack that takes them over (HOSTS="root@… …")
	@toolchain/run python -m components.adoption $(STACK) $(if $(HOSTS),--hosts "$(HOSTS)") \
		$(if $(KNOWN_HOSTS),--known-hosts "$(KNOWN_HOSTS)") $(if $(SSH_KEY),--key "$(SSH_KEY)") \
		$(if $(AGENT),--agent) $(if $(OUT),--out "$(OUT)")

# By the variable, not by `pulumi stack select`: a `make up` of another stack meanwhile selects that one.
shell: setup ## a shell in which pulumi up, preview --diff, refresh and destroy work
	@PULUMI_STACK="$(STACK)" toolchain/run "$${SHELL:-/bin/bash}"

status: setup ## how mirrors and clients stand (JSON=1, HTML=page.html, HOURS=24)
	@toolchain/run python -m components.status $(STACK) $(if $(JSON),--json) $(if $(HTML),--html "$(HTML)") \
		$(if $(HOURS),--hours "$(HOURS)")

collect: setup ## let go now of what the caches need not keep; a line a mirror
	@toolchain/run python -m components.collect $(STACK)

new-stack: setup ## ask what a stack of your own needs, write its file: NAME=office (ARGS=--help: flags)
	@test -n "$(NAME)" || { echo "name the stack, as in: make new-stack NAME=office" >&2; exit 2; }
	@STACK=$(NAME) toolchain/run python -m toolchain.new_stack $(NAME) $(ARGS)

test: setup ## all tests: unit, preview, lab (TIERS="unit preview" for some)
	@toolchain/run toolchain/test.sh $(TIERS)

lint: setup ## ruff, mypy, shellcheck, workflows, secrets
	@toolchain/run toolchain/lint.sh

bench: setup ## the table of times, beside Ansible and pyinfra
	@toolchain/run python -m tests.bench

reference: setup ## write docs/configuration.md anew, after a change of a setting
	@toolchain/run python -m components.reference >docs/configuration.md

lock: setup ## pin the Python packages anew, after a change of a requirements .in file
	@toolchain/run toolchain/lock.sh
