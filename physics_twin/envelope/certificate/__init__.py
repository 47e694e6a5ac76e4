"""The certificate: boxes proposed, confirmed, tried on held-out draws, and tried again elsewhere."""
