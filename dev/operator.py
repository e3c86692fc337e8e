"""The operator's commands, run beside a stack."""

import subprocess

from dev.processes import clean_environment
from dev.stack import BIN, Stack


def admin(stack: Stack, *arguments: str) -> str:
    """Return what `fittrack-auth-admin` prints. Raises CalledProcessError."""
    result = subprocess.run(
        [BIN / "fittrack-auth-admin", *arguments],
        env=clean_environment(stack.settings),
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    return result.stdout.strip()
