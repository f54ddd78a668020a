"""Human judgements: collecting them, measuring who agrees with them, and training on them."""
