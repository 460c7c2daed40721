"""Tests on trio: which they are, and how they wait."""
