"""Metrics: one file each, what they share, and their names."""

from __future__ import annotations
