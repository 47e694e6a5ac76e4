"""Exothermic first-order reaction in a cooled, continuously stirred tank."""

from physics_twin_models.jacketed_reactor.model import jacketed_reactor

__all__ = ["jacketed_reactor"]
