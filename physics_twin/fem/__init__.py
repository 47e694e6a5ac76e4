"""Field models: heat, reaction and mechanics on DOLFINx."""
