"""Transfer: what earlier jobs found, carried over to another task or model. Loads no tensor library."""
