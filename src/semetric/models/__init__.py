"""Networks: built, loaded, and the preparation of their input."""
