"""A gate report for people: one self-contained page, or markdown for a pull request."""
