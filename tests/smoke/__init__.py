"""Install the built wheel with each Python and use it as a person would: `python -m tests.smoke`."""
