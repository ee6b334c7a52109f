# Each target is one command. `python3 -m scripts COMMAND` does the work and its own set-up.
PYTHON ?= python3
CLUSTER ?= compose/cluster.toml
RUN_DIR ?= run
RUNTIME ?=
MODELS ?= models
WANWU = $(PYTHON) -m scripts
# What a shell takes for itself between double quotes.
quoted = $(subst `,\`,$(subst $$,\$$,$(subst ",\",$(subst \,\\,$(1)))))
# Only from the command line: some shells set NAME themselves.
option = $(if $(filter command,$(firstword $(origin $(1)))),$(call quoted,$($(1))))
SERVICE = --cluster "$(call quoted,$(CLUSTER))" --run-dir "$(call quoted,$(RUN_DIR))" --runtime "$(call quoted,$(RUNTIME))"
PREPARE_OPTIONS = --calibration "$(call option,CALIBRATION)" --prepare "$(call option,PREPARE)"
MODEL_OPTIONS = $(PREPARE_OPTIONS) \
  --name "$(call option,NAME)" --loader "$(call option,LOADER)" \
  --architecture "$(call option,ARCHITECTURE)" --channels "$(call option,CHANNELS)" --golden "$(call option,GOLDEN)" \
  --mean="$(call option,MEAN)" --std="$(call option,STD)" --size "$(call option,SIZE)" \
  --resize "$(call option,RESIZE)" --interpolation "$(call option,INTERPOLATION)" \
  --activation "$(call option,ACTIVATION)" --range="$(call option,RANGE)" --background "$(call option,BACKGROUND)" \
  --labels "$(call option,LABELS)" --output "$(call option,OUTPUT)" \
  --retired "$(foreach one,$(filter LABELS_%,$(.VARIABLES)),$(if $(call option,$(one)),$(one)=$(call option,$(one))))" \
  --templates "$(call option,TEMPLATES)" \
  $(if $(call option,TRUST_CODE),--trust-code) $(if $(call option,FORCE),--force)
BENCH_OPTIONS = --out "$(or $(call option,OUT),bench)" --photos "$(call option,PHOTOS)" --rounds "$(or $(call option,ROUNDS),0)" \
  $(if $(call option,QUICK),--quick) --targets "$(call option,TARGETS)"
FUZZ_OPTIONS = --minutes "$(or $(call option,MINUTES),5)" --targets "$(call option,TARGETS)" \
  --seed "$(or $(call option,SEED),0)" --out "$(or $(call option,OUT),fuzz)" --input "$(call option,INPUT)"
CHAOS_OPTIONS = --rows "$(call option,ROWS)" --times "$(or $(call option,TIMES),0)" --rate "$(or $(call option,RATE),10)" \
  --seed "$(or $(call option,SEED),0)" --out "$(or $(call option,OUT),chaos)"
PHOTOS_OPTIONS = --wheels "$(call option,WHEELS)" --out "$(or $(call option,OUT),worker/photos)" \
  --crops "$(or $(call option,CROPS),0)"
FETCH_OPTIONS = --source "$(call option,SOURCE)" --revision "$(call option,REVISION)" --sha256 "$(call option,SHA256)"

BUNDLE_OPTIONS = --include "$(call option,MODELS)" --systems "$(call option,SYSTEMS)" --wheels "$(call option,WHEELS)" \
  --base "$(call option,BASE)" --sign-key "$(call option,SIGN_KEY)" --out "$(or $(call option,OUT),bundle)"
VERIFY_OPTIONS = --bundle "$(or $(call option,BUNDLE),bundle)" --base "$(call option,BASE)" --signers "$(call option,SIGNERS)"
INIT_OPTIONS = --hosts "$(call option,HOSTS)" --bundle "$(or $(call option,BUNDLE),bundle)" \
  --models "$(call option,SOURCE)" --join-file "$(call option,JOIN)" --gpu "$(or $(call option,GPU),auto)" \
  --signers "$(call option,SIGNERS)"
TEACH_OPTIONS = --images "$(call option,IMAGES)" --add "$(call option,ADD)" --base "$(call option,BASE)" $(if $(call option,FORCE),--force)
CERT_OPTIONS = --hosts "$(call option,HOSTS)"
CLASSIFY_OPTIONS = --images "$(call option,IMAGES)" --out "$(call option,OUT)" --top-k "$(or $(call option,TOP_K),1)" \
  --threshold "$(call option,THRESHOLD)" --labels "$(call option,LABELS)" --model "$(call option,MODEL)" \
  --candidates "$(call option,CANDIDATES)" --url "$(call option,URL)" \
  --ca "$(call option,CA)" --key-variable "$(if $(call option,KEY),KEY,WANWU_KEY)" --wait "$(or $(call option,WAIT),120)" \
  $(if $(call option,RETRY),--retry) $(if $(call option,WATCH),--watch)

FORCE_OPTION = $(if $(call option,FORCE),--force)
UP_OPTIONS = $(FORCE_OPTION) $(if $(filter 0,$(call option,BOOT)),--no-boot) \
  --observability "$(call option,OBSERVABILITY)"

.DEFAULT_GOAL := help
.PHONY: help up down key key-revoke cert status logs support rollout rollback history update drain backup restore doctor init slots models model-add model-fetch model-prepare model-verify evaluate teach teach-page use classify client-wheel wheelhouse base-image bundle bundle-verify k8s test test-unit test-gpu fuzz chaos format lock version release photos screenshots bench bench-peers

help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nWith every target: RUNTIME=local, compose or swarm, CLUSTER=FILE (%s), RUN_DIR=DIR (%s).\n' "$(call quoted,$(CLUSTER))" "$(call quoted,$(RUN_DIR))"

##@ Serving
up: ## Start the service, now and at every boot, or change it without losing a request; FORCE=1, BOOT=0, OBSERVABILITY=1: see operations.md
	@$(WANWU) up $(SERVICE) $(UP_OPTIONS)

down: ## Stop everything, after the requests in flight are answered
	@$(WANWU) down $(SERVICE)

rollout: ## Replace the workers one at a time, without losing a request; FORCE=1 as with `make up`
	@$(WANWU) rollout $(SERVICE) $(FORCE_OPTION)

rollback: ## Undo the last change, without losing a request; FORCE=1 as with `make up`
	@$(WANWU) rollback $(SERVICE) $(FORCE_OPTION)

history: ## List what changed this service, when, by whom and how it ended; JSON=1
	@$(WANWU) history $(SERVICE) $(if $(call option,JSON),--json)

drain: ## Under Swarm: stop everything on one server so that it can be removed: SERVER=...
	@$(WANWU) drain $(SERVICE) --server "$(call option,SERVER)"

update: ## Say which security updates wait; APPLY=1 applies Debian's, one worker at a time
	@$(WANWU) update $(SERVICE) $(if $(call option,APPLY),--apply)

##@ Access
key: ## Make a key, shown once: NAME=line-3, MODELS=a,b (all), ROLE=admin (client); without NAME, list the keys
	@$(WANWU) key $(SERVICE) --name "$(call option,NAME)" --include "$(call option,MODELS)" --role "$(or $(call option,ROLE),client)"

key-revoke: ## Revoke the keys of a name, without losing a request: NAME=..., ID=... for one of them
	@$(WANWU) key-revoke $(SERVICE) --name "$(call option,NAME)" --id "$(call option,ID)"

cert: ## Make or renew a certificate from a private authority: HOSTS=NAME,ADDRESS; how clients trust it
	@$(WANWU) cert $(SERVICE) $(CERT_OPTIONS)

##@ Inspection
status: ## Show every slot, its worker and its state
	@$(WANWU) status $(SERVICE)

logs: ## Show the end of every log; FOLLOW=1 keeps printing as they grow; REQUEST=ID shows all lines of one request
	@$(WANWU) logs $(SERVICE) $(if $(FOLLOW),--follow) --request "$(call option,REQUEST)"

slots: ## Show this server's slots, as init-server.sh writes them; SERVER=NAME, GPU=none
	@$(WANWU) slots $(SERVICE) --server "$(call option,SERVER)" --gpu "$(or $(call option,GPU),auto)"

init: ## Set up bare servers as members, over SSH: HOSTS="root@a root@b", BUNDLE=DIR (bundle), SOURCE=..., JOIN=FILE, GPU=none, SIGNERS=...
	@$(WANWU) init $(SERVICE) $(INIT_OPTIONS)

backup: ## Write what no bundle has into one archive: configuration, keys, models, the swarm; OUT=FILE (wanwu-backup.tar.gz)
	@$(WANWU) backup $(SERVICE) --models "$(call quoted,$(MODELS))" --out "$(or $(call option,OUT),wanwu-backup.tar.gz)"

restore: ## Put back what `make backup` wrote; on a new server, the swarm, too: FILE=... (wanwu-backup.tar.gz), ADDRESS=...
	@$(WANWU) restore $(SERVICE) --models "$(call quoted,$(MODELS))" --file "$(or $(call option,FILE),wanwu-backup.tar.gz)" --address "$(call option,ADDRESS)"

doctor: ## Report what this machine has and what it lacks
	@$(WANWU) doctor $(SERVICE)

support: ## Write one archive to send with a report: status, plan, versions, logs, without secrets and network; OUT=FILE
	@$(WANWU) support $(SERVICE) --out "$(call option,OUT)"

##@ Models
models: ## List every model folder, served or not; MODELS=DIR (models), NAME=... for all measurements of one
	@$(WANWU) models $(SERVICE) --models "$(call quoted,$(MODELS))" --name "$(call option,NAME)"

model-add: ## Create a model folder from local files: SOURCE=PATH NAME=..., more in compose/reference/models.md
	@$(WANWU) model-add $(SERVICE) --models "$(call quoted,$(MODELS))" --source "$(call option,SOURCE)" $(MODEL_OPTIONS)

model-fetch: ## Fetch a published model, on a machine with a network: SOURCE=hf:ORG/NAME, more in compose/reference/models.md
	@$(WANWU) model-fetch $(SERVICE) --models "$(call quoted,$(MODELS))" $(FETCH_OPTIONS) $(MODEL_OPTIONS)

model-prepare: ## Measure engines on this machine again; NAME=... for one, CALIBRATION=DIR of your own images, PREPARE=quick
	@$(WANWU) model-prepare $(SERVICE) --models "$(call quoted,$(MODELS))" --name "$(call option,NAME)" $(PREPARE_OPTIONS)

model-verify: ## Check model folders as a starting worker does, without a network; NAME=... for one, JSON=1
	@$(WANWU) model-verify $(SERVICE) --models "$(call quoted,$(MODELS))" --name "$(call option,NAME)" $(if $(call option,JSON),--json)

evaluate: ## Measure a model's accuracy: NAME=... (NAME=a,b compares), IMAGES=DIR with a folder per class, or a CSV of file,label; OUT=DIR
	@$(WANWU) evaluate $(SERVICE) --models "$(call quoted,$(MODELS))" --name "$(call option,NAME)" --images "$(call option,IMAGES)" --out "$(call option,OUT)"

teach: ## Make a model that knows your own classes: NAME=..., IMAGES=DIR with a folder per class, or ADD=DIR; BASE=NAME, FORCE=1
	@$(WANWU) teach $(SERVICE) --models "$(call quoted,$(MODELS))" --name "$(call option,NAME)" $(TEACH_OPTIONS)

teach-page: ## Let the owner teach on the page, from this machine, beside a service of the local runtime; ends with Ctrl-C
	@$(WANWU) teach-page $(SERVICE) --models "$(call quoted,$(MODELS))"

use: ## Serve another model folder, without losing a request: NAME=..., INSTEAD_OF=... if several are served; FORCE=1 as with `make up`
	@$(WANWU) use $(SERVICE) $(FORCE_OPTION) --models "$(call quoted,$(MODELS))" --name "$(call option,NAME)" --instead-of "$(call option,INSTEAD_OF)"

##@ Clients
classify: ## Classify images with the running service: IMAGES=DIR, OUT=results.csv, .json or .jsonl, WATCH=1, more in compose/reference/requests.md
	@$(WANWU) classify $(SERVICE) $(CLASSIFY_OPTIONS)

client-wheel: ## Write the Python client as a wheel, without a network; OUT=DIR (dist)
	@$(WANWU) client-wheel $(SERVICE) --out "$(or $(call option,OUT),dist)"

##@ Containers
wheelhouse: ## Download the wheels that the images are built from, so that a build needs no package index
	@$(WANWU) wheelhouse $(SERVICE)

bundle: ## Write all that bare servers need into one directory: MODELS=a,b (those served), SYSTEMS=debian-12,... (all), WHEELS=local,teach,tools (all), BASE=DIR, SIGN_KEY=FILE, OUT=DIR (bundle)
	@$(WANWU) bundle $(SERVICE) $(BUNDLE_OPTIONS)

bundle-verify: ## Check who made a bundle and all its files, on any machine; BUNDLE=DIR (bundle), SIGNERS=SHA256:... or FILE, BASE=DIR
	@$(WANWU) bundle-verify $(SERVICE) $(VERIFY_OPTIONS)

k8s: ## Write a Kustomize overlay for Kubernetes; GPU=1 for one GPU per worker, OUT=DIR (k8s)
	@$(WANWU) k8s $(SERVICE) --out "$(or $(call option,OUT),k8s)" $(if $(call option,GPU),--gpu)

base-image: ## Build the images' base from Debian packages, if no registry can be reached
	@scripts/base-image.sh

##@ Development
test: ## Run lint, type checks and all tests, after installing what they need; TESTS=... for some tests
	@$(WANWU) test $(if $(TESTS),-- $(TESTS))

test-unit: ## Run the tests that start no process
	@$(WANWU) test-unit $(SERVICE)

test-gpu: ## Run the tests that need an NVIDIA GPU, and one worker on it under load, without a network; GPU=none tries the load on CPUs
	@$(WANWU) test-gpu $(SERVICE) --gpu "$(call option,GPU)"

fuzz: ## Feed random inputs to every parser for MINUTES=N (5); TARGETS=a,b (all), SEED=N (0), OUT=DIR (fuzz), INPUT=FILE to repeat one
	@$(WANWU) fuzz $(SERVICE) $(FUZZ_OPTIONS)

chaos: ## Disturb a service of its own under load, and count what clients notice: ROWS=a,b (all), TIMES=N, RATE=N a second (10), SEED=N (0), OUT=DIR (chaos)
	@$(WANWU) chaos $(SERVICE) $(CHAOS_OPTIONS)

format: ## Format the Python code, and apply ruff's automatic fixes
	@$(WANWU) format

lock: ## Recompile every lock file from its .in file; UPGRADE=all, or package names, upgrades
	@$(WANWU) lock --upgrade "$(call option,UPGRADE)"

version: ## Print the version of this checkout or kit
	@$(WANWU) version

release: ## Check that this checkout is ready for release, and tag it: VERSION=X.Y.Z
	@$(WANWU) release --version "$(call option,VERSION)"

photos: ## Rebuild the embedded model folder, and print how it differs; WHEELS=DIR, OUT=DIR (worker/photos), CROPS=N
	@$(WANWU) photos $(SERVICE) $(PHOTOS_OPTIONS)

screenshots: ## Take the documents' pictures of the page of the running service; URL=..., OUT=DIR (compose/reference/screenshots)
	@$(WANWU) screenshots $(SERVICE) --url "$(call option,URL)" --out "$(or $(call option,OUT),compose/reference/screenshots)"

bench: ## Measure rate, latency, CPU time and memory of every way to serve; QUICK=1, ROUNDS=N (3), TARGETS=a,b (all), PHOTOS=DIR, OUT=DIR (bench)
	@$(WANWU) bench $(SERVICE) $(BENCH_OPTIONS)

bench-peers: ## Install MOSEC, LitServe and BentoML, and measure them, too
	@$(WANWU) bench-peers $(SERVICE) $(BENCH_OPTIONS)
