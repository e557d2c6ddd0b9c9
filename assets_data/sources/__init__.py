"""Where raw records come from: sources, unpacking, rows. Digests what it reads; never cleans, splits or tokenises."""
