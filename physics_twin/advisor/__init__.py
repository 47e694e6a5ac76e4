"""Advice on settings: a person approves ranges, an advisor proposes moves inside them and writes nothing anywhere."""

from physics_twin.advisor.advisor import Advice, Advisor
from physics_twin.advisor.approval import Approval, approve, withdraw
from physics_twin.advisor.envelope_hash import envelope_hash

__all__ = ["Advice", "Advisor", "Approval", "approve", "envelope_hash", "withdraw"]
