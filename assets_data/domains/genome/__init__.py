"""DNA sequences, alleles and edited windows as a Stemma domain. The stages are listed in ``domain.py``."""
