"""How data become a trained network."""
