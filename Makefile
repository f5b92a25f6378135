# Every target does its own set-up: `make sim` and `make test` work on a fresh clone.
# A variable is given as `make sim GROUPS=4 LANES=8`; one left out keeps the command's own default.

PYTHON ?= python3## The interpreter that .venv is made from (3.11 or later)
NETWORK ?= resnet8## sim, compile, accuracy, and, if given, bitstream, verilog: a network of the zoo, or the path of a .tflite or .onnx file
INPUT ?=## sim, run: an input, .npy or .png (a test image)
DATAFLOW ?=## sim, compile, verilog: the dataflow (nullhop)
GROUPS ?=## sim, compile, verilog, synth: groups of the MAC array (8)
LANES ?=## sim, compile, verilog, synth: lanes of a group (16)
LAYER ?=## sim: run this layer only
SIMULATOR ?=## sim: verilator or icarus (verilator)
SEED ?=## sim, run, board: seed of everything random (0)
STALLS ?=## sim, board: none, or random stalls on every stream (none)
WAVES ?=## sim, board: write the waveforms to this .fst file
JSON ?=## sim, compile, run, accuracy, synth, bitstream: write the results to this .json file
CLOCK ?=## compile: the accelerator's clock, in MHz (50); bitstream: that to reach (the board's own); verilog: for the constraints (100)
PROGRAM ?=## compile, run, board: the program file (build/NETWORK.skip)
PORT ?=## run: the accelerator's serial port, or the path that `make board` prints
BAUD ?=## run: bits a second of the serial port (3000000)
LABELS ?=## run: names of the classes, such as cifar10, or a text file
CHECK ?=## run: compare with the golden model of this network
OUTPUT ?= build/verilog## verilog: the folder to write to
BOARD ?=## bitstream, program: the board, such as ulx3s_85f or icebreaker
DATAFLOWS ?=## bitstream: the dataflows to build (the board's own)
TARGET ?=## synth: ecp5, ice40 or all (all)
FREQ ?=## synth: the clock to reach, in MHz (the target's own)
BENCHMARKS ?=## bench, bench-full: only these (see skipstone bench --list)
RESULTS ?=## report: files of bench, or of sim or synth with JSON (all that are recorded)
REPORT ?= build/report.html## report: the page to write
JOBS ?= 2## test, test-all: tests that run at once
TESTS ?=## test, test-all: only these files, folders or test names

VENV := .venv
BIN := $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup
lower = $(shell echo $(1) | tr A-Z a-z)
# $(call options,NAME ...): `--name 'value'` for each of these variables that has a value.
options = $(foreach name,$(1),$(if $($(name)),--$(call lower,$(name)) '$($(name))'))

PROGRAM_FILE = $(or $(PROGRAM),build/$(notdir $(basename $(NETWORK))).skip)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets and the variables
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):[^=]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'
	@echo 'Variables (make TARGET NAME=value):'
	@sed -n 's/^\([A-Z]*\) ?= *\([^#]*\)## \(.*\)/  \1|\3|\2/p' $(MAKEFILE_LIST) \
		| awk -F'|' '{ printf "%-14s %s%s\n", $$1, $$2, $$3 == "" ? "" : " (" $$3 ")" }'

.PHONY: setup
setup: ## Make .venv and install everything into it
	@sh setup/environment.sh '$(PYTHON)' $(VENV)

.PHONY: networks
networks: setup ## Fetch the networks of the zoo, if they are not in the cache
	@$(BIN)/python -c 'from models import zoo; zoo.fetch(zoo.DEFAULT)'

.PHONY: sim
sim: networks ## Simulate NETWORK in the generated Verilog and compare every tensor with the golden model
	$(BIN)/skipstone simulate '$(NETWORK)' $(call options,INPUT DATAFLOW GROUPS LANES LAYER SIMULATOR SEED STALLS WAVES JSON)

.PHONY: compile
compile: networks ## Compile NETWORK into PROGRAM, and show the plan
	$(BIN)/skipstone compile '$(NETWORK)' --output '$(PROGRAM_FILE)' $(call options,DATAFLOW GROUPS LANES CLOCK JSON)

.PHONY: board
board: setup ## Run a simulated board for PROGRAM behind a pseudo-terminal, until interrupted
	$(BIN)/skipstone serve-sim '$(PROGRAM_FILE)' $(call options,SEED STALLS WAVES)

.PHONY: run
run: setup ## Run PROGRAM on the accelerator behind PORT
	$(BIN)/skipstone run '$(PROGRAM_FILE)' $(call options,PORT INPUT LABELS BAUD CHECK SEED JSON)

.PHONY: test
test: networks ## Run the tests
	$(PYTEST) -m 'not slow' $(TESTS)

.PHONY: test-all
test-all: networks ## Run the tests, the slow ones too
	$(PYTEST) $(TESTS)

.PHONY: lint
lint: setup ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: setup ## Format the Python files
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: verilog
verilog: networks ## Write an accelerator as Verilog, with AXI interfaces, to OUTPUT
	$(BIN)/skipstone verilog $(call options,DATAFLOW GROUPS LANES CLOCK OUTPUT) \
		$(if $(filter-out file,$(origin NETWORK)),--network '$(NETWORK)')

.PHONY: synth
synth: setup ## Synthesise, place and route for ECP5 and iCE40, and check what it takes
	$(BIN)/skipstone synth $(call options,TARGET GROUPS LANES FREQ JSON)

.PHONY: bitstream
bitstream: networks ## Build the bitstream of BOARD, with the program of NETWORK in it if that is given
	$(BIN)/skipstone bitstream $(call options,BOARD DATAFLOWS CLOCK JSON) \
		$(if $(filter-out file,$(origin NETWORK)),--network '$(NETWORK)')

.PHONY: program
program: setup ## Load the bitstream of BOARD into the board, through openFPGALoader
	$(BIN)/skipstone program $(call options,BOARD)

.PHONY: bench
bench: networks ## Run the quick BENCHMARKS (minutes) and record them in bench/results
	$(BIN)/skipstone bench $(BENCHMARKS)

.PHONY: bench-full
bench-full: networks ## Run the full BENCHMARKS (an hour or more; goes on where it was interrupted)
	$(BIN)/skipstone bench --full $(BENCHMARKS)

.PHONY: report
report: setup ## Make a page of pictures, REPORT, from recorded results, or from the files RESULTS
	$(BIN)/skipstone report $(RESULTS) --output '$(REPORT)'

.PHONY: docs
docs: setup ## Build the manual into build/docs, with the recorded numbers, and check its links
	$(BIN)/python -m bench.markdown README.md
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo 'open build/docs/index.html'

.PHONY: docs-links
docs-links: setup ## Check the manual's links to other places, which needs a network
	$(BIN)/python -m sphinx -q -b linkcheck docs build/docs-links

.PHONY: accuracy
accuracy: networks ## Classify the test images of CIFAR-10 or MNIST with the golden model
	$(BIN)/skipstone accuracy '$(NETWORK)' $(call options,JSON)

.PHONY: train-pruned
train-pruned: networks ## Train and prune LeNet-5 and ResNet-8 with PyTorch, into build/trained (a quarter of an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train]'
	$(BIN)/python -m models.training.pruned

.PHONY: train-csc
train-csc: setup ## Train LeNet-300-100 and a CNN with cyclic layers with PyTorch, into build/trained (an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train]'
	$(BIN)/python -m models.training.csc

.PHONY: clean
clean: ## Remove what the other targets made, but for .venv
	rm -rf build .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove .venv, too
	rm -rf $(VENV)
