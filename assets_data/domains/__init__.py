"""One folder per kind of data; each declares its stages in ``domain.py``."""
