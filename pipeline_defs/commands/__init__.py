"""The ``stemma`` command, a file per group of commands."""
