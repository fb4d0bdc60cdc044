"""Measurements beside each other; never imported by the package."""
