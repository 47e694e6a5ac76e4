"""Markov chains: draws from the posterior itself, whatever its shape."""

from physics_twin.estimation.markov_chain.method import MarkovChain

__all__ = ["MarkovChain"]
