"""A Garmin on this computer: every sign-in both libraries know, and every way it goes wrong."""

from dev.simulator.accounts import PASSWORD
from dev.simulator.simulator import Simulator

__all__ = ["PASSWORD", "Simulator"]
