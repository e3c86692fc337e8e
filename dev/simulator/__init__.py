"""A simulated Garmin: the sign-in flows of garth and garminconnect, and their known failures."""

from dev.simulator.accounts import PASSWORD
from dev.simulator.simulator import Simulator

__all__ = ["PASSWORD", "Simulator"]
