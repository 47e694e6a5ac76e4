"""Journals: what happened to the twins of a plant, durable before it acts; in a file or in PostgreSQL."""

from physics_twin.twin.journal.journal import Journal, SavedState
from physics_twin.twin.journal.states import PackedTwin
from physics_twin.twin.journal.view import Timeline

__all__ = ["Journal", "PackedTwin", "SavedState", "Timeline"]
