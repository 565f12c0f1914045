# Two commands matter: `make demo` and `make test`. All call `setup`, which is quick when nothing is missing.
.PHONY: setup demo test check serve docs clean

setup:
	@scripts/setup

demo: setup
	@.venv/bin/gitops demo $(DEMO_ARGS)

test: setup
	@scripts/test

check: setup
	@scripts/check

serve: setup
	@.venv/bin/gitops serve $(SERVE_ARGS)

docs: setup
	@PYTHONPATH=. .venv/bin/python scripts/reference.py

clean:
	rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis
