"""The Temperature Control Lab online: a twin that is given a measured record, with faults, a gap and late samples."""
