"""Taking records out: the plan, its cost, carrying it out, and what marks it."""
