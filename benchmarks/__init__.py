"""What Semetric costs and what its metrics are worth, measured on real photos."""
