"""Who is near whom among the samples of a fit, and what that says of clusters."""
