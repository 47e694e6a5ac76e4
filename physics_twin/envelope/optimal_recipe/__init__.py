"""Optimal recipes: courses of the inputs by direct collocation, robust over draws, certified on others."""

from physics_twin.envelope.optimal_recipe.method import Collocation
from physics_twin.envelope.optimal_recipe.nominal import RecipeStart
from physics_twin.envelope.optimal_recipe.profile import Profile
from physics_twin.envelope.optimal_recipe.result import OptimalRecipe, PathLimit
from physics_twin.envelope.optimal_recipe.search import find_recipe

__all__ = ["Collocation", "OptimalRecipe", "PathLimit", "Profile", "RecipeStart", "find_recipe"]
