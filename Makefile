.PHONY: install demo dev try test test-full lint check audit bench lock messages screenshots

# Test runs start hundreds of processes: they compile our sources once.
unexport PYTHONDONTWRITEBYTECODE

install: .venv/.installed

.venv/.installed: pyproject.toml client/pyproject.toml requirements/dev.txt requirements/uv.txt
	sh dev/install.sh

demo: install
	.venv/bin/python -m dev.demo

try: install
	.venv/bin/python -m dev.try_it

dev: install
	.venv/bin/python -m dev.run

# More at once than there are cores: end-to-end tests mostly wait.
PYTEST = .venv/bin/python -m pytest -n 4 --dist worksteal --durations=10

test: install
	$(PYTEST)

test-full: install
	FITTRACK_TEST_TIMINGS=production $(PYTEST)

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --python-version 3.11 client/fittrack_auth_client
	.venv/bin/lint-imports
	sh dev/check-schemas.sh

check: lint test

audit: install
	sh dev/audit.sh

bench: install
	.venv/bin/python -m dev.bench

lock: install
	sh dev/lock.sh

screenshots: install
	.venv/bin/python -m dev.screenshots

messages: install
	.venv/bin/python -m dev.messages
