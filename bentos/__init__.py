"""The BentoML service: HTTP in, components at work, HTTP out."""
