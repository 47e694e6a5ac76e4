"""The likelihood: what samples say, given what the model shows and what is known of their noise.

`sample_noise` holds the shape of the noise sample by sample, `local_model` what the likelihood needs to know of a point
of the search, `terms` the misfit and its exact slopes. `quadratic` makes least squares of it for a search, `marginal`
estimates noise and spreads, `shaped_draws` draws.
"""
