"""Rendered heads of people who do not exist: identity, expression, pose, light and what is worn, each drawn on its own."""
