"""Parts of an experiment: means, coarser samples, phases, parts to fit and to test, steady windows."""
